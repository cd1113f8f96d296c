import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CreateStreamCommand, KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";

const STREAM = "orders";
const CREDENTIALS = { accessKeyId: "any", secretAccessKey: "any" };

/** A program that reads a stream of an emulator and prints a line for each record: its shard first, its text last. */
export interface ConsumerProgram {
  readonly program: URL;
  /** The emulator's URL. */
  readonly endpoint: string;
  /** Variables that name its store. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default the test's own directory */
  readonly cwd?: string;
}

/**
 * Starts the program twice.
 * @throws AssertionError unless it prints each record once, and exits with 0 after SIGINT and SIGTERM
 */
export async function expectToContinue(options: ConsumerProgram): Promise<void> {
  const { endpoint } = options;
  const kinesis = new KinesisClient({ endpoint, region: "us-east-1", credentials: CREDENTIALS });
  const put = async (...texts: readonly string[]): Promise<void> => {
    for (const text of texts) {
      const record = { PartitionKey: text, Data: Buffer.from(text) };
      await kinesis.send(new PutRecordCommand({ StreamName: STREAM, ...record }));
    }
  };
  try {
    await kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 2 }));
    await put("one", "two", "three", "four");
    assert.deepEqual(await run(options, 4, "SIGINT"), ["four", "one", "three", "two"]);
    await put("five", "six");
    assert.deepEqual(await run(options, 2, "SIGTERM"), ["five", "six"]);
  } finally {
    kinesis.destroy();
  }
}

/** Runs the program until it has printed this many records. Returns their texts, sorted. */
async function run(
  { program, endpoint, env, cwd }: ConsumerProgram,
  records: number,
  signal: NodeJS.Signals,
): Promise<readonly string[]> {
  const child = spawn(process.execPath, [fileURLToPath(program), STREAM, "--endpoint", endpoint], {
    cwd,
    env: {
      ...process.env,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  const texts: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("shardId-")) continue;
    texts.push(line.split(" ").at(-1) ?? "");
    if (texts.length === records) child.kill(signal);
  }
  assert.deepEqual(await exit, [0, null], "its exit code and signal");
  return texts.toSorted();
}
