import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "vitest";
import type { ExpectedWarnings } from "../../../vitest.warnings.ts";

const WARN = 'process.emitWarning("a text", { code: "KC_TEST" });';
const warnings: ExpectedWarnings = ["KC_TEST"];
const expected = { meta: { warnings } };

async function child(program: string): Promise<void> {
  await once(spawn(process.execPath, ["--eval", program], { stdio: "ignore" }), "exit");
}

test.fails("a process warning fails the test that it came in", () => {
  process.emitWarning("a text");
});

test.fails("a warning of a process that a test starts fails the test", async () => {
  await child(WARN);
});

test.fails("a warning of a process that was killed then fails the test", async () => {
  await child(`${WARN} setImmediate(() => process.kill(process.pid, "SIGKILL"));`);
});

test("a warning that a test expects passes", expected, async () => {
  await child(WARN);
});

test.fails("an expected warning that does not come fails the test", expected, () => {});
