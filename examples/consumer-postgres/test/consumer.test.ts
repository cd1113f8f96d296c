import { startEmulator } from "@kc/emulator";
import { expectToContinue, startPostgres } from "@kc-internal/test-services";
import { onTestFinished, test } from "vitest";

const program = new URL("../dist/consumer.js", import.meta.url);

test("it prints each record once over two starts, and stops at SIGINT and SIGTERM", async () => {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.close());
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  const env = { DATABASE_URL: postgres.connectionString };
  await expectToContinue({ program, endpoint: emulator.url, env });
});
