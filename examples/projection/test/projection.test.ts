import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/projection.js", import.meta.url));

test("workers are killed at random moments, and the books balance", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, "--kills", "3"]);
  expect(stdout).toContain("(3 of 3)");
  const [, put] = /^ +put: +(.+)$/m.exec(stdout) ?? [];
  expect(put).toMatch(/^[1-9]\d+ orders, /);
  expect(stdout).toMatch(`balances: ${put}\n`);
  expect(stdout).toContain("The books balance, account by account.");
});
