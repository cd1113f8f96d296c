import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/group.js", import.meta.url));

async function run(
  onLine: (line: string, stop: () => void) => void = () => {},
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    onLine(line, () => child.kill("SIGINT"));
  }
  await exit;
  return { code: child.exitCode, output: lines.join("\n") };
}

test("workers come, go and die, the stream is resharded: the ledger adds up", async () => {
  const { code, output } = await run();
  expect(output).toMatch(/(\d+) records put, \1 distinct records handled/);
  expect(output).toContain("40 partition keys, 0 records out of order");
  expect(output).toContain("0 repeats after graceful changes");
  expect(output).toMatch(/shard \d: c → \w, taken over from c/);
  expect(output).toContain("shard 0 was read to its end");
  expect(code).toBe(0);
});

test("Ctrl-C stops every worker, and is no verdict", async () => {
  const { code, output } = await run((line, stop) => {
    if (line.includes("never held before")) stop();
  });
  expect(output).toContain("interrupted");
  expect(output).not.toContain("Nothing was lost");
  expect(code).toBe(130);
});
