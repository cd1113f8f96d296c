// Loaded by each Node process that a test starts: leaves its warnings for `vitest.warnings.ts`.
import { randomUUID } from "node:crypto";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const directory = process.env["KC_TEST_WARNINGS"] ?? "";

process.on("warning", ({ name, code = name, message, stack = message }) => {
  // A process may outlive its test's file.
  if (!existsSync(directory)) return;
  const text = `process ${process.pid}, ${process.argv[1]}: ${stack}`;
  // Under its last name it is whole, whoever looks and whenever this process is killed.
  const file = join(directory, randomUUID());
  writeFileSync(`${file}.part`, JSON.stringify({ name: code, text }));
  renameSync(`${file}.part`, file);
});
