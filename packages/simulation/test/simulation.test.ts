import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { longRun } from "../src/long-run.ts";
import { FOUND_BY, PLANTED_BUGS } from "../src/planted-bugs.ts";
import { runStory } from "../src/story.ts";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const PLANT = fileURLToPath(new URL("../dist/plant.js", import.meta.url));
/** `npm run sim -- --seeds 1000` tells more. */
const SEEDS = 200;
/** A planted bug must be found within so many. */
const SEEDS_TO_FIND = 1000;
/** `npm run sim -- --days 30` goes on for longer. */
const DAYS = 4;
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

// Beside the next one, which takes one core alone.
it.concurrent(
  `${SEEDS} stories break no promise`,
  async () => {
    const half = SEEDS / 2;
    const outputs = await Promise.all([simulate(1, half), simulate(1 + half, half)]);
    for (const output of outputs) expect(output).toContain("no promise broken");
  },
  TIMEOUT_MS,
);

it.concurrent(
  "a worker holds no more after days of resharding than after the first ones",
  async () => {
    const { handled, put, days, left } = await longRun(DAYS);
    expect(handled).toBe(put);
    // Two days fill the stream's retention, and the rows of shards with it.
    const [, early] = days;
    const late = days.at(-1)!;
    expect(late.bufferedBytes).toBe(0);
    expect(late.timers).toBeLessThanOrEqual(early!.timers);
    expect(late.series).toBeLessThanOrEqual(early!.series);
    expect(late.rows).toBeLessThanOrEqual(early!.rows);
    expect(late.heapBytes - early!.heapBytes).toBeLessThan(4 * 1024 * 1024);
    expect(left.timers).toBe(0);
  },
  TIMEOUT_MS,
);

it("a seed tells the same story each time", async () => {
  for (const seed of [3, 14, 27]) {
    const [one, other] = [await runStory(seed), await runStory(seed)];
    expect(one.trace.length).toBeGreaterThan(10);
    expect(other).toEqual(one);
  }
});

it("every planted bug's text is in the built file once", () => {
  for (const [bug, edits] of Object.entries(PLANTED_BUGS)) {
    for (const { file, find } of edits) {
      const built = new URL(`../../${file.replace("/", "/dist/")}`, import.meta.url);
      const text = readFileSync(built, "utf8");
      expect(text.split(find).length - 1, `${bug}: ${file}: ${find}`).toBe(1);
    }
  }
});

describe("a planted bug is found:", () => {
  // Each in a process of its own: some at once.
  it.concurrent.each(Object.keys(PLANTED_BUGS))(
    "%s",
    async (bug) => {
      const output = await simulate(FOUND_BY[bug] ?? 1, SEEDS_TO_FIND, bug);
      const [, story] = /story (\d+): Violation/.exec(output) ?? [];
      expect(Number(story), output.slice(-2000)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
