import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const DEMO = fileURLToPath(new URL("../dist/demo.js", import.meta.url));
const require = createRequire(import.meta.url);

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  const [output, errors] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, "exit"),
  ]);
  return { code: child.exitCode, output, errors };
}

/** As a user starts it: nothing silences the SDK but the demo itself. */
function demo(...args: string[]): ChildProcess {
  const { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: _, ...env } = process.env;
  return spawn(process.execPath, [DEMO, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
}

/**
 * The port is free when asked for; the server that gets it starts at once. It is below those that the kernel gives to
 * outgoing connections: one of them might have it by then.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Starts a server that will listen on the port, and waits until it does. */
async function serve(
  port: number,
  program: string[],
  options: { cwd?: string; env: Record<string, string> },
): Promise<void> {
  const child = spawn(process.execPath, program, { ...options, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program[0]} ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const connected = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("the demo proves its case against the embedded Kinesis, and warns of nothing", async () => {
  const { code, output, errors } = await ended(demo("--records", "6000"));
  expect(errors).not.toContain("Warning");
  expect(output).toContain("6,000 records put, 6,000 distinct records handled: 0 lost");
  expect(output).toContain("0 repeats before and after the clean stop");
  expect(code).toBe(0);
});

test("Ctrl-C ends the demo and its consumer cleanly", async () => {
  const child = demo();
  child.stdout!.once("data", () => child.kill("SIGINT"));
  const { code, output } = await ended(child);
  expect(output).toContain("interrupted: everything was stopped cleanly");
  expect(code).toBe(130);
});

test("the demo proves its case against kinesalite", async () => {
  const port = await freePort();
  const main = require.resolve("kinesalite");
  const script = `require(${JSON.stringify(main)})({ shardLimit: 50, createStreamMs: 50, updateStreamMs: 50, deleteStreamMs: 50 }).listen(${port}, "127.0.0.1")`;
  await serve(port, ["--eval", script], { env: {} });
  const { code, output } = await ended(demo("--endpoint", `http://127.0.0.1:${port}`));
  expect(output).toContain("6,000 distinct records handled: 0 lost");
  expect(code).toBe(0);
});

test("the demo proves its case against kinesis-local", async () => {
  const port = await freePort();
  const main = require.resolve("kinesis-local");
  const env = {
    KINESIS_MOCK_PLAIN_PORT: String(port),
    KINESIS_MOCK_TLS_PORT: String(await freePort()),
    LOG_LEVEL: "ERROR",
  };
  // It looks for its certificate in the working directory.
  await serve(port, [main], { cwd: dirname(main), env });
  const endpoint = `http://127.0.0.1:${port}`;
  const { code, output } = await ended(demo("--endpoint", endpoint, "--records", "2000"));
  expect(output).toContain("2,000 distinct records handled: 0 lost");
  expect(code).toBe(0);
});
