import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  CreateStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/producer.js", import.meta.url));
const env = {
  ...process.env,
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "any",
  AWS_SECRET_ACCESS_KEY: "any",
};

test("every line becomes a record, though the shard's quota refuses some at first", async () => {
  const emulator = await startEmulator({ quotas: { reads: false, writes: true } });
  onTestFinished(() => emulator.close());
  const { kinesis, url } = emulator;
  await kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 1 }));

  const child = spawn(process.execPath, [PROGRAM, "orders", "--endpoint", url], {
    env,
    stdio: ["pipe", "inherit", "inherit"],
  });
  const lines = Array.from({ length: 1500 }, (_, i) => `customer-${i % 10} order-${i}`);
  child.stdin.end(`${lines.join("\n")}\n`);
  await once(child, "exit");
  expect(child.exitCode).toBe(0);

  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "orders",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
  const texts = Records.map(({ Data }) => new TextDecoder().decode(Data));
  expect(texts.toSorted()).toEqual(lines.toSorted());
  expect(Records[0]?.PartitionKey).toBe("customer-0");
});
