import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { PLANTED_BUGS } from "../src/planted-bugs.ts";
import { tell } from "../src/story.ts";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const PLANT = fileURLToPath(new URL("../dist/plant.js", import.meta.url));
const SEEDS = 1000;
/** Against hangs alone. */
const TIMEOUT_MS = 20 * 60_000;

/** Runs stories in a process of its own, as `npm run sim` does. */
async function simulate(first: number, seeds: number, bug?: string): Promise<string> {
  const args = [...(bug === undefined ? [] : ["--import", PLANT]), MAIN];
  const run = promisify(execFile)(
    process.execPath,
    [...args, "--seed", String(first), "--seeds", String(seeds)],
    { env: { ...process.env, ...(bug === undefined ? {} : { SIM_BUG: bug }) } },
  );
  return run.then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => `${error.stdout}${error.stderr}`,
  );
}

it(
  `${SEEDS} stories break no promise`,
  async () => {
    const half = SEEDS / 2;
    const outputs = await Promise.all([simulate(1, half), simulate(1 + half, half)]);
    for (const output of outputs) expect(output).toContain("no promise broken");
  },
  TIMEOUT_MS,
);

it("a seed tells the same story each time", async () => {
  for (const seed of [3, 14, 27]) {
    const [one, other] = [await tell(seed), await tell(seed)];
    expect(one.trace.length).toBeGreaterThan(10);
    expect(other).toEqual(one);
  }
});

describe("a planted bug is found:", () => {
  // Each in a process of its own: some at once.
  it.concurrent.each(Object.keys(PLANTED_BUGS))(
    "%s",
    async (bug) => {
      const output = await simulate(1, SEEDS, bug);
      const [, story] = /story (\d+): Violation/.exec(output) ?? [];
      expect(Number(story), output.slice(-2000)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
