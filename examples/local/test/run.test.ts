import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/run.js", import.meta.url));

test.each([
  "consumer",
  "consumer-postgres",
  "consumer-mysql",
  "consumer-redis",
  "consumer-dynamodb",
  "producer",
])("%s shows the records that are put, and stops cleanly at SIGINT", async (name) => {
  const child = spawn(process.execPath, [PROGRAM, name], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const orders: number[] = [];
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    const order = /^shardId-\d+ \d+ customer-\d customer-\d order (\d+)$/.exec(line)?.[1];
    if (order !== undefined && orders.push(Number(order)) === 3) child.kill("SIGINT");
  }
  await exit;

  expect(orders.slice(0, 3).toSorted()).toEqual([1, 2, 3]);
  expect(last).toBe("The consumer ended with exit code 0.");
  expect(child.exitCode).toBe(0);
});

test.each([
  ["an unknown name", "the names that exist", ["nothing"], "consumer-postgres"],
  ["an unknown option", "the usage", ["projection", "--deaths", "3"], "[--kills N]"],
  ["an unknown store", "the stores that exist", ["group", "--store", "paper"], "sqlite, postgres"],
  ["a count that is none", "what is needed", ["projection", "--kills", "some"], "whole number"],
])("%s is refused with %s", async (_, __, args, expected) => {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exit = once(child, "close");
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await exit;
  expect(child.exitCode).toBe(2);
  expect(said).toContain(expected);
  expect(said).not.toContain("    at "); // no stack
});

test("group runs on a database of its own, and its exit code is passed on", async () => {
  const child = spawn(process.execPath, [PROGRAM, "group", "--store", "redis"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  let claims = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes("never held before") && (claims += 1) === 6) child.kill("SIGINT");
  }
  await exit;
  expect(claims).toBe(6);
  expect(child.exitCode).toBe(130);
});

test("observability shows its page, and its exit code is passed on", async () => {
  const child = spawn(process.execPath, [PROGRAM, "observability", "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  let page = "";
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^Look at +(\S+)/.exec(line) ?? [];
    if (url === undefined) continue;
    page = await (await fetch(url)).text();
    child.kill("SIGINT");
  }
  await exit;
  expect(page).toContain("<h1>orders</h1>");
  expect(child.exitCode).toBe(0);
});
