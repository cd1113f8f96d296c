import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/parallel.js", import.meta.url));

test("each key is in order, and a failing one holds up itself alone", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
  expect(stdout.trim().split("\n")).toEqual([
    "concurrency 1: at most 1 at once",
    "  each customer's orders in order: true",
    "  orders of others that were done before ada's first one: 0",
    "concurrency 50: at most 5 at once",
    "  each customer's orders in order: true",
    "  orders of others that were done before ada's first one: 80",
  ]);
});
