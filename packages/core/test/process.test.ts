import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { startEmulator, type Emulator } from "@kc/emulator";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Real processes with the unmodified SDK, over our transport, against the emulator's server. */
const SHARDS = 12;
let program: string;
let directory: string;

beforeAll(async () => {
  const parent = fileURLToPath(new URL("../node_modules/.kc-test", import.meta.url));
  mkdirSync(parent, { recursive: true });
  directory = mkdtempSync(join(parent, "child-"));
  program = join(directory, "child.mjs");
  const bundle = await rolldown({
    input: fileURLToPath(new URL("support/child.ts", import.meta.url)),
    platform: "node",
    external: [/^@aws-sdk\//],
    resolve: { conditionNames: ["@kc/source", "node", "import", "default"] },
  });
  await bundle.write({ file: program, format: "esm" });
  await bundle.close();
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a process exits by itself once its scan has resolved after SIGTERM", async () => {
  await using emulator = await emulatorWith("1", "last");
  const child = run(emulator, "abort");
  child.onLine("last", () => child.kill());
  const { code, lines, errors } = await child.exit;

  expect(lines).toEqual(["1", "last", "over"]);
  expect(code).toBe(0);
  expect(errors).not.toContain("MaxListeners");
});

test("a process exits by itself after a break out of records()", async () => {
  await using emulator = await emulatorWith("1", "last");
  const { code, lines } = await run(emulator, "break").exit;

  expect(lines).toEqual(["1", "last", "over"]);
  expect(code).toBe(0);
});

test("a process exits by itself although nobody destroys its client", async () => {
  await using emulator = await emulatorWith("last");
  const { code, lines } = await run(emulator, "break", "kept").exit;

  expect(lines).toEqual(["last", "over"]);
  expect(code).toBe(0);
});

test("HTML errors and broken connections, beyond what the SDK retries itself, pass", async () => {
  await using emulator = await emulatorWith("1", "last");
  for (const operation of ["DescribeStreamSummary", "ListShards", "GetRecords"] as const) {
    emulator.kinesis.faults.htmlError({ operation, times: 4 });
    emulator.kinesis.faults.drop({ operation, call: 5, times: 4 });
  }
  const { code, lines } = await run(emulator, "break").exit;

  expect(lines).toEqual(["1", "last", "over"]);
  expect(code).toBe(0);
});

async function emulatorWith(...texts: string[]): Promise<Emulator> {
  const emulator = await startEmulator({ streams: { orders: SHARDS } });
  for (const text of texts) {
    await emulator.kinesis.send(
      new PutRecordCommand({ StreamName: "orders", PartitionKey: "key", Data: Buffer.from(text) }),
    );
  }
  return emulator;
}

interface Child {
  readonly exit: Promise<{ code: number | null; lines: string[]; errors: string }>;
  onLine(line: string, listener: () => void): void;
  kill(): void;
}

function run(emulator: Emulator, ending: "abort" | "break", client = "own"): Child {
  const child = spawn(process.execPath, [program, ending, client], {
    env: {
      ...process.env,
      AWS_ENDPOINT_URL_KINESIS: emulator.url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    },
    // A process that does not exit is a failure, not a wait for ever.
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  let output = "";
  let errors = "";
  const listeners = new Map<string, () => void>();
  const linesOf = (): string[] => output.split("\n").slice(0, -1);
  child.stdout.on("data", (chunk: Buffer) => {
    output += String(chunk);
    for (const line of linesOf()) {
      const listener = listeners.get(line);
      listeners.delete(line);
      listener?.();
    }
  });
  child.stderr.on("data", (chunk: Buffer) => void (errors += String(chunk)));
  const exit = once(child, "close").then(([code]) => {
    return { code: code as number | null, lines: linesOf(), errors };
  });
  return {
    exit,
    onLine: (line, listener) => void listeners.set(line, listener),
    kill: () => void child.kill("SIGTERM"),
  };
}
