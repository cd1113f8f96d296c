import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmulator } from "@kc/emulator";
import { expectToContinue } from "@kc-internal/test-services";
import { onTestFinished, test } from "vitest";

const program = new URL("../dist/consumer.js", import.meta.url);

test("it prints each record once over two starts, and stops at SIGINT and SIGTERM", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "kc-consumer-"));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  const emulator = await startEmulator();
  onTestFinished(() => emulator.close());
  await expectToContinue({ program, endpoint: emulator.url, cwd });
});
