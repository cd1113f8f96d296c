import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CreateStreamCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/consumer.js", import.meta.url));
const env = {
  ...process.env,
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "any",
  AWS_SECRET_ACCESS_KEY: "any",
};

test("it prints each record, stops at SIGINT, and continues there at its next start", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kc-consumer-"));
  const emulator = await startEmulator();
  onTestFinished(async () => {
    await emulator.close();
    rmSync(directory, { recursive: true });
  });
  const { kinesis, url } = emulator;
  await kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 2 }));

  const put = (text: string): Promise<unknown> =>
    kinesis.send(
      new PutRecordCommand({ StreamName: "orders", PartitionKey: text, Data: Buffer.from(text) }),
    );
  /** Runs the program until it has printed a record; answers with that line and its exit code. */
  const firstRecord = async (): Promise<[string, number | null]> => {
    const child = spawn(process.execPath, [PROGRAM, "orders", "--endpoint", url], {
      cwd: directory,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith("shardId-")) continue;
      child.kill("SIGINT");
      await exit;
      return [line, child.exitCode];
    }
    throw new Error("it ended without a record");
  };

  await put("first");
  expect(await firstRecord()).toEqual([expect.stringMatching(/first$/), 0]);
  await put("second");
  expect(await firstRecord()).toEqual([expect.stringMatching(/second$/), 0]);
});
