import fc from "fast-check";
import { expect, test } from "vitest";
import { plan, type PlanShard, type PlanWorker } from "../src/groups/leases/plan.ts";

const EPSILON = 1e-6;

const workers = fc.uniqueArray(
  fc.record({
    workerId: fc.string({ minLength: 1, maxLength: 3 }),
    weight: fc.oneof(fc.constant(1), fc.double({ min: 0.1, max: 10, noNaN: true })),
    maxShards: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined, freq: 3 }),
  }),
  { minLength: 1, maxLength: 12, selector: ({ workerId }) => workerId },
);

const scene = workers.chain((list) =>
  fc.record({
    workers: fc.constant(list),
    shards: fc
      .array(
        fc.record({
          owner: fc.option(fc.constantFrom(...list.map(({ workerId }) => workerId)), {
            nil: undefined,
          }),
          heir: fc.option(fc.constantFrom(...list.map(({ workerId }) => workerId)), {
            nil: undefined,
          }),
        }),
        { maxLength: 80 },
      )
      .map((shards) => shards.map((shard, n) => ({ shardId: `shard-${n}`, ...shard }))),
  }),
);

function held(planned: ReadonlyMap<string, string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const workerId of planned.values()) counts.set(workerId, (counts.get(workerId) ?? 0) + 1);
  return counts;
}

/** The oracle's quotas: fill all at one level, in small steps of the order of the limits. */
function quotas(total: number, list: readonly PlanWorker[]): Map<string, number> {
  const byLevel = list.toSorted(
    (a, b) => (a.maxShards ?? Infinity) / a.weight - (b.maxShards ?? Infinity) / b.weight,
  );
  const result = new Map<string, number>();
  let left = total;
  let weights = list.reduce((sum, { weight }) => sum + weight, 0);
  for (const { workerId, weight, maxShards = Infinity } of byLevel) {
    const quota = Math.min(maxShards, (left * weight) / weights);
    result.set(workerId, quota);
    left -= quota;
    weights -= weight;
  }
  return result;
}

test("every shard has one worker while there is room, nobody beyond its limit or its share", () => {
  fc.assert(
    fc.property(scene, ({ workers: list, shards }) => {
      const planned = plan(shards, list);
      const counts = held(planned);
      const room = list.reduce((sum, { maxShards }) => sum + (maxShards ?? Infinity), 0);
      expect(planned.size).toBe(Math.min(shards.length, room));
      for (const [workerId, quota] of quotas(shards.length, list)) {
        const count = counts.get(workerId) ?? 0;
        expect(Math.abs(count - quota), `${workerId}: ${count} of ${quota}`).toBeLessThan(
          1 + EPSILON,
        );
        const { maxShards = Infinity } = list.find((one) => one.workerId === workerId)!;
        expect(count).toBeLessThanOrEqual(maxShards);
      }
    }),
    { numRuns: 500 },
  );
});

test("workers of equal weight below their limits differ by one at the most", () => {
  fc.assert(
    fc.property(scene, ({ workers: list, shards }) => {
      const equal = list.map((worker) => ({ ...worker, weight: 1 }));
      const counts = held(plan(shards, equal));
      const open = equal.filter(
        ({ workerId, maxShards }) => (counts.get(workerId) ?? 0) < (maxShards ?? Infinity),
      );
      const shares = open.map(({ workerId }) => counts.get(workerId) ?? 0);
      if (open.length > 0) expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 300 },
  );
});

test("it is sticky: only what is beyond a share moves, and carrying it out ends the moving", () => {
  fc.assert(
    fc.property(scene, ({ workers: list, shards }) => {
      const planned = plan(shards, list);
      const counts = held(planned);
      const owned = new Map<string, number>();
      let moved = 0;
      for (const { shardId, owner } of shards) {
        if (owner === undefined) continue;
        owned.set(owner, (owned.get(owner) ?? 0) + 1);
        if (planned.get(shardId) !== owner) moved += 1;
      }
      let surplus = 0;
      for (const [owner, count] of owned) surplus += Math.max(0, count - (counts.get(owner) ?? 0));
      expect(moved).toBe(surplus);
      const after = shards.map((shard) => ({ ...shard, owner: planned.get(shard.shardId) }));
      expect(plan(after, list)).toEqual(planned);
    }),
    { numRuns: 500 },
  );
});

test("the order in which rows come does not matter", () => {
  fc.assert(
    fc.property(scene, fc.infiniteStream(fc.nat()), ({ workers: list, shards }, salt) => {
      const shuffled = <T>(items: readonly T[]): T[] =>
        items
          .map((item) => ({ item, at: salt.next().value as number }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ item }) => item);
      expect(plan(shuffled(shards), shuffled(list))).toEqual(plan(shards, list));
    }),
    { numRuns: 200 },
  );
});

test("a child goes to the worker of its parent, if that has room", () => {
  const two: PlanWorker[] = ["a", "b"].map((workerId) => ({
    workerId,
    weight: 1,
    maxShards: undefined,
  }));
  const shards: PlanShard[] = [
    { shardId: "s0", owner: undefined, heir: "b" },
    { shardId: "s1", owner: undefined, heir: "a" },
    { shardId: "s2", owner: undefined, heir: "a" },
  ];
  expect(Object.fromEntries(plan(shards, two))).toEqual({ s0: "b", s1: "a", s2: "a" });
});

/**
 * Workers that act on old rows, each in its own order. One gives back only what its plan moves to
 * another, or nobody has room for; one claims only what is free and planned for it.
 */
test("views that differ cannot make shards go back and forth: all comes to rest, and balanced", () => {
  fc.assert(
    fc.property(
      scene,
      fc.array(fc.record({ worker: fc.nat(), lag: fc.nat(5), blind: fc.nat(3) }), {
        minLength: 10,
        maxLength: 60,
      }),
      ({ workers: list, shards }, steps) => {
        let rows: readonly PlanShard[] = shards;
        const history: (readonly PlanShard[])[] = [rows];
        const act = (
          worker: PlanWorker,
          seen: readonly PlanShard[],
          among: readonly PlanWorker[],
        ) => {
          const mine = plan(seen, among);
          rows = rows.map((row, n) => {
            const to = mine.get(row.shardId);
            if (row.owner === worker.workerId && to !== worker.workerId) {
              return { ...row, owner: undefined };
            }
            const free = seen[n]!.owner === undefined && row.owner === undefined;
            return free && to === worker.workerId ? { ...row, owner: worker.workerId } : row;
          });
          history.push(rows);
        };
        for (const { worker, lag, blind } of steps) {
          const actor = list[worker % list.length]!;
          const among = list.filter((one, n) => one === actor || blind === 0 || n % 4 !== blind);
          act(actor, history.at(-1 - Math.min(lag, history.length - 1))!, among);
        }
        // From here on everybody sees what is.
        for (let round = 0; round < 3; round += 1) for (const one of list) act(one, rows, list);
        const settled = rows;
        for (const one of list) act(one, rows, list);
        expect(rows).toEqual(settled);
        const counts = held(plan(rows, list));
        for (const { workerId } of list) {
          const count = rows.filter(({ owner }) => owner === workerId).length;
          expect(count).toBe(counts.get(workerId) ?? 0);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("no workers, no shards", () => {
  expect(plan([{ shardId: "s", owner: undefined, heir: undefined }], []).size).toBe(0);
  expect(plan([], [{ workerId: "a", weight: 1, maxShards: undefined }]).size).toBe(0);
});
