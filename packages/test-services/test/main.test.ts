import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/main.js", import.meta.url));

test("it serves until Ctrl-C, and ends in good order", async () => {
  const child = spawn(process.execPath, [PROGRAM, "--only", "redis"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /redis:\/\/\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    const redis = new Redis(url, { retryStrategy: () => null });
    expect(await redis.ping()).toBe("PONG");
    redis.disconnect();
    child.kill("SIGINT");
  }
  await exit;
  expect(child.exitCode).toBe(0);
});
