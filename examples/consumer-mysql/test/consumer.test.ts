import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CreateStreamCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { startMariadb } from "@kc-internal/test-services";
import { createConnection } from "mysql2/promise";
import { expect, onTestFinished, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/consumer.js", import.meta.url));

test("it prints each record once over two starts, and its progress is in Go's table", async () => {
  const mariadb = await startMariadb();
  onTestFinished(() => mariadb.close());
  const database = await createConnection(mariadb.uri);
  onTestFinished(() => database.end());
  await database.query("CREATE DATABASE app");
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  const { kinesis, url } = emulator;
  await kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 2 }));

  /** Runs the program until it has printed this many records; answers with their texts. */
  const run = async (records: number): Promise<readonly string[]> => {
    const child = spawn(process.execPath, [PROGRAM, "orders", "--endpoint", url], {
      env: {
        ...process.env,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "any",
        AWS_SECRET_ACCESS_KEY: "any",
        DATABASE_URL: `${mariadb.uri}/app`,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    const texts: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith("shardId-")) continue;
      texts.push(line.split(" ").at(-1) ?? "");
      if (texts.length === records) child.kill("SIGTERM");
    }
    expect(await exit).toEqual([0, null]);
    return texts.toSorted();
  };
  const put = async (...texts: readonly string[]): Promise<void> => {
    for (const text of texts) {
      const record = { PartitionKey: text, Data: Buffer.from(text) };
      await kinesis.send(new PutRecordCommand({ StreamName: "orders", ...record }));
    }
  };

  await put("one", "two", "three", "four");
  expect(await run(4)).toEqual(["four", "one", "three", "two"]);
  await put("five", "six");
  expect(await run(2)).toEqual(["five", "six"]);
  const [rows] = await database.query("SELECT DISTINCT namespace FROM app.kinesis_consumer");
  expect(rows).toEqual([{ namespace: "example-orders" }]);
});
