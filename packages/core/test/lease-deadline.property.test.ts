import fc from "fast-check";
import { expect, test } from "vitest";
import { GroupWorld } from "./support/group-world.ts";

/** One call's way to the store and its reply's way back: instant, usual, or as slow as it may be. */
const delay = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 1500, max: 2600 }),
);
const delays = fc.array(fc.record({ there: delay, back: delay }), { minLength: 1, maxLength: 12 });

test("no eviction takes effect before the evicted worker's own deadline, whatever the delays of its calls and of the looks", async () => {
  let evictions = 0;
  await fc.assert(
    fc.asyncProperty(
      delays,
      delays,
      fc.integer({ min: 3000, max: 12_000 }),
      fc.boolean(),
      async (own, others, cutAfterMs, thenFast) => {
        const group = await GroupWorld.of({ shards: 1, push: false });
        const { clock } = group.world;
        const cycle = (all: typeof own) => {
          let n = 0;
          return () => all[n++ % all.length]!;
        };
        const evicted = new Map<string, number>();
        const watched = await group.join("a", { consumer: { scanIntervalMs: 600_000 } });
        group.onEvict = (workerId) => evicted.set(workerId, watched.group.status().remainingMs);
        await group.join("b", { consumer: { scanIntervalMs: 600_000 } });
        watched.link.delays = cycle(own);
        group.members[1]!.link.delays = cycle(others);
        await clock.advance(cutAfterMs);
        watched.link.delays = undefined;
        watched.link.state = "hangs";
        if (thenFast) group.members[1]!.link.delays = undefined;
        await clock.advance(20_000);
        evictions += evicted.size;
        const remainingMs = evicted.get("a");
        if (remainingMs !== undefined) expect(remainingMs).toBe(0);
        await Promise.all(group.members.map(({ run }) => run.stop()));
      },
    ),
    { seed: 1, numRuns: 200 },
  );
  expect(evictions, "the stories come to an eviction").toBeGreaterThan(50);
});
