import { parseArgs } from "node:util";
import { longRun } from "./long-run.ts";
import { runStory } from "./story.ts";

/**
 * Runs `--seeds N` stories from `--seed S` on; stops at the first one with a violation, and prints
 * it. `--days N` runs one worker for that many virtual days instead, and prints its footprint after
 * each as JSON.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    days: { type: "string" },
  },
});
if (values.days !== undefined) {
  const days = Number(values.days);
  if (!Number.isInteger(days) || days < 1) throw new Error("--days takes a whole number, from 1");
  console.log(JSON.stringify(await longRun(days)));
  process.exit();
}
const first = Number(values.seed);
const count = Number(values.seeds);
if (!Number.isInteger(first) || !Number.isInteger(count) || count < 1) {
  throw new Error("--seeds and --seed take whole numbers");
}
const began = performance.now();
let records = 0;
let repeats = 0;
for (let seed = first; seed < first + count; seed += 1) {
  const outcome = await runStory(seed);
  records += outcome.records;
  repeats += outcome.repeats;
  if (outcome.violation === undefined) continue;
  console.log(outcome.trace.map((line) => `  ${line}`).join("\n"));
  console.log(`seed ${seed}, story ${seed - first + 1}: ${String(outcome.violation)}`);
  console.log(`again: npm run sim -- --seed ${seed} --seeds 1`);
  process.exit(1);
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(
  `${count} stories from seed ${first}: no promise broken; ${records} records, ${repeats} repeats, ${seconds} s`,
);
