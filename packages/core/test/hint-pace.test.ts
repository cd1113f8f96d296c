import { expect, test } from "vitest";
import { HintPace } from "../src/groups/leases/hint-pace.ts";
import { GroupWorld, SCOPE } from "./support/group-world.ts";

test("a flood of hints makes no more than one look a heartbeat, and hides no change for longer", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(5000);
  const { watchers } = group.data.application(SCOPE);
  const flood = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10) {
      for (const onHint of watchers) onHint();
      await clock.advance(10);
    }
  };
  await flood(2000);
  const before = a.link.calls.length;
  await flood(20_000);
  const looks = a.link.calls.slice(before).filter((name) => name === "listWorkers");
  // One for each heartbeat, which come every second give or take a tenth.
  expect(looks.length).toBeLessThanOrEqual(23);

  const b = await group.join("b");
  await flood(4000);
  expect([a.reads.length, b.reads.length]).toEqual([2, 2]);
});

test("hints that bring news are followed at once, after those that brought none too", () => {
  const pace = new HintPace(50, 1000);
  const fruitless = Array.from({ length: 7 }, () => {
    const waitMs = pace.hint();
    pace.updated(false);
    return waitMs;
  });
  expect(fruitless).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
  pace.updated(true);
  expect(pace.hint()).toBe(50);
  pace.updated(true);
  // Looks that nobody hinted at say nothing about hints.
  for (let i = 0; i < 5; i += 1) pace.updated(false);
  expect(pace.hint()).toBe(50);
});
