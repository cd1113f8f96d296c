import { startEmulator } from "@kc/emulator";
import { expectToContinue, startDynamoDbLocal } from "@kc-internal/test-services";
import { onTestFinished, test } from "vitest";

const program = new URL("../dist/consumer.js", import.meta.url);

test("it prints each record once over two starts, and stops at SIGINT and SIGTERM", async () => {
  const dynamodb = await startDynamoDbLocal();
  onTestFinished(() => dynamodb.close());
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  const env = { AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint };
  await expectToContinue({ program, endpoint: emulator.url, env });
});
