import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/batch.js", import.meta.url));

test("a batch that is refused is halved until its bad record stands alone, and all others are written in order", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
  expect(stdout.trim().split("\n")).toEqual([
    "insert orders 1 to 25: written",
    "insert orders 26 to 50: refused",
    "insert orders 26 to 38: refused",
    "insert orders 26 to 32: written",
    "insert orders 33 to 38: refused",
    "insert orders 33 to 35: written",
    "insert orders 36 to 38: refused",
    "insert orders 36 to 37: refused",
    "insert orders 36 to 36: written",
    "insert orders 37 to 37: refused",
    "insert orders 38 to 38: written",
    "insert orders 39 to 50: written",
    "insert orders 51 to 60: written",
    "rows: 59",
    "in the order of the shard: true",
    'a letter: {"id":37,"pizzas":-1}, a row breaks the rule pizzas >= 0',
  ]);
});
