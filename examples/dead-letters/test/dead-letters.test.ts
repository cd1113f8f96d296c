import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/dead-letters.js", import.meta.url));

test("what fails becomes a letter after its attempts, the shard goes on, and letters are handled again", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
  const [first = "", ...lines] = stdout.trim().split("\n");
  expect(first).toBe("handled: 3 pizzas; 1 pizza; 2 pizzas");
  expect(lines.slice(0, 2).toSorted()).toEqual([
    'a letter from shardId-000000000000, after 3 attempts: TypeError: "many" is no number',
    'a letter from shardId-000000000000, after 3 attempts: TypeError: "no" is no number',
  ]);
  expect(lines.slice(2)).toEqual([
    "handled: 1 pizza; 2 pizzas; 3 pizzas; many pizzas, by hand; no pizzas, by hand",
    "letters left: 0",
  ]);
});
