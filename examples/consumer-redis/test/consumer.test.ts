import { startEmulator } from "@kc/emulator";
import { expectToContinue, startRedis } from "@kc-internal/test-services";
import { onTestFinished, test } from "vitest";

const program = new URL("../dist/consumer.js", import.meta.url);

test("it prints each record once over two starts, and stops at SIGINT and SIGTERM", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.close());
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  const env = { REDIS_URL: redis.url };
  await expectToContinue({ program, endpoint: emulator.url, env });
});
