import { startEmulator } from "@kc/emulator";
import { expectToContinue, startMariadb } from "@kc-internal/test-services";
import { createConnection } from "mysql2/promise";
import { expect, onTestFinished, test } from "vitest";

const program = new URL("../dist/consumer.js", import.meta.url);

test("it prints each record once over two starts, and its progress is in Go's table", async () => {
  const mariadb = await startMariadb();
  onTestFinished(() => mariadb.close());
  const database = await createConnection(mariadb.uri);
  onTestFinished(() => database.end());
  await database.query("CREATE DATABASE app");
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  const env = { DATABASE_URL: `${mariadb.uri}/app` };
  await expectToContinue({ program, endpoint: emulator.url, env });
  const [rows] = await database.query("SELECT DISTINCT namespace FROM app.kinesis_consumer");
  expect(rows).toEqual([{ namespace: "example-orders" }]);
});
