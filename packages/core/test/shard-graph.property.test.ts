import fc from "fast-check";
import { expect, test } from "vitest";
import { ShardGraph } from "../src/groups/shard-graph.ts";
import type { Shard } from "../src/index.ts";

const shard = (shardId: string, ...parentShardIds: string[]): Shard => ({
  shardId,
  parentShardIds,
  closed: false,
  hashKeyRange: undefined,
});

const idsOf = (shards: readonly Shard[]): string[] =>
  shards.map(({ shardId }) => shardId).toSorted();

/** A stream's history: each step splits an open shard or merges two, as the service numbers them. */
const history = fc
  .array(fc.tuple(fc.boolean(), fc.nat(), fc.nat()), { maxLength: 25 })
  .map((steps) => {
    const shards = [shard("0"), shard("1")];
    let open = ["0", "1"];
    const add = (...parents: string[]): string => {
      const shardId = String(shards.length);
      shards.push(shard(shardId, ...parents));
      return shardId;
    };
    for (const [split, a, b] of steps) {
      const one = open[a % open.length]!;
      const other = open[b % open.length]!;
      if (split) open = [...open.filter((id) => id !== one), add(one), add(one)];
      else if (one !== other) {
        open = [...open.filter((id) => id !== one && id !== other), add(one, other)];
      }
    }
    return { shards, open: new Set(open) };
  });

/** How far the reading has come when it is looked at: some readable shards end, one after another. */
const progress = fc.array(fc.tuple(fc.nat(), fc.boolean()), { maxLength: 60 });

test("a shard may be read when all parents that are still there have ended, and not before", () => {
  fc.assert(
    fc.property(history, progress, fc.nat(), ({ shards, open }, steps, gone) => {
      // Retention takes the oldest first, never an open one.
      const aged = new Set(
        idsOf(
          shards.filter(
            ({ shardId }) => Number(shardId) < gone % shards.length && !open.has(shardId),
          ),
        ),
      );
      const listed = shards.filter(({ shardId }) => !aged.has(shardId));
      const graph = new ShardGraph();
      graph.list(listed);
      const ended = new Set<string>();
      for (const [pick, tell] of steps) {
        const expected = listed.filter(
          ({ shardId, parentShardIds }) =>
            !ended.has(shardId) && parentShardIds.every((id) => ended.has(id) || aged.has(id)),
        );
        expect(idsOf(graph.readable())).toEqual(idsOf(expected));
        const closable = expected.filter(({ shardId }) => !open.has(shardId));
        const one = closable[pick % (closable.length || 1)];
        if (one === undefined) break;
        ended.add(one.shardId);
        const children = shards.filter(({ parentShardIds }) =>
          parentShardIds.includes(one.shardId),
        );
        graph.end(one.shardId, tell ? children : []);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("every shard gets its turn, whichever order they are read in", () => {
  fc.assert(
    fc.property(
      history,
      fc.array(fc.nat(), { minLength: 80, maxLength: 80 }),
      ({ shards, open }, picks) => {
        const graph = new ShardGraph();
        graph.list(shards);
        const read: string[] = [];
        for (const pick of picks) {
          const next = graph.readable().filter(({ shardId }) => !open.has(shardId));
          const one = next[pick % (next.length || 1)];
          if (one === undefined) break;
          read.push(one.shardId);
          graph.end(one.shardId);
        }
        expect(read.length).toBe(shards.length - open.size);
        expect(idsOf(graph.readable())).toEqual([...open].toSorted());
        for (const { shardId, parentShardIds } of shards) {
          if (open.has(shardId)) continue;
          for (const parent of parentShardIds) {
            expect(read.indexOf(parent)).toBeLessThan(read.indexOf(shardId));
          }
        }
      },
    ),
    { seed: 2, numRuns: 300 },
  );
});

test("no order is broken between listings, however old the last one is", () => {
  fc.assert(
    fc.property(history, progress, fc.array(fc.nat()), ({ shards, open }, steps, relist) => {
      const graph = new ShardGraph();
      graph.list(shards.slice(0, 2));
      const ended = new Set<string>();
      steps.forEach(([pick], i) => {
        // A listing names what was there at its moment: some first part of the history.
        if (relist[i] !== undefined) graph.list(shards.slice(0, 2 + (relist[i] % shards.length)));
        const readable = graph.readable();
        for (const { parentShardIds } of readable) {
          for (const parent of parentShardIds) expect(ended).toContain(parent);
        }
        const closable = readable.filter(({ shardId }) => !open.has(shardId));
        const one = closable[pick % (closable.length || 1)];
        if (one === undefined) return;
        ended.add(one.shardId);
        graph.end(
          one.shardId,
          shards.filter(({ parentShardIds }) => parentShardIds.includes(one.shardId)),
        );
      });
    }),
    { seed: 3, numRuns: 300 },
  );
});

test("an announced child is known before a listing names it, and after one that lags behind", () => {
  const graph = new ShardGraph();
  graph.list([shard("0")]);
  graph.end("0", [shard("1", "0"), shard("2", "0")]);
  expect(idsOf(graph.readable())).toEqual(["1", "2"]);
  graph.list([shard("0")]);
  expect(idsOf(graph.readable())).toEqual(["1", "2"]);
  graph.list([shard("0"), shard("1", "0"), shard("2", "0")]);
  expect(idsOf(graph.readable())).toEqual(["1", "2"]);
});

test("a merged shard that one parent announced waits for the other", () => {
  const graph = new ShardGraph();
  graph.list([shard("0"), shard("1")]);
  graph.end("0", [shard("2", "0", "1")]);
  expect(idsOf(graph.readable())).toEqual(["1"]);
  graph.end("1", [shard("2", "0", "1")]);
  expect(idsOf(graph.readable())).toEqual(["2"]);
});

test("a merged shard waits for a parent that was born after the last listing", () => {
  const graph = new ShardGraph();
  graph.list([shard("0"), shard("1")]);
  // 0 was split into 2 and 3, 1 into 4 and 5, then 3 and 4 merged into 6; 0 is read, then 3.
  graph.end("0", [shard("2", "0"), shard("3", "0")]);
  graph.end("3", [shard("6", "3", "4")]);
  expect(idsOf(graph.readable())).toEqual(["1", "2"]);
  graph.list(
    [
      shard("0"),
      shard("1"),
      shard("2", "0"),
      shard("3", "0"),
      shard("4", "1"),
      shard("5", "1"),
    ].concat(shard("6", "3", "4")),
  );
  expect(idsOf(graph.readable())).toEqual(["1", "2"]);
  graph.end("1");
  graph.end("4");
  expect(idsOf(graph.readable())).toEqual(["2", "5", "6"]);
});

test("a shard that ended stays so when a listing leaves it out for a while", () => {
  const graph = new ShardGraph();
  graph.list([shard("0"), shard("1")]);
  graph.end("0");
  graph.list([shard("1")]);
  graph.list([shard("0"), shard("1")]);
  expect(idsOf(graph.readable())).toEqual(["1"]);
});

test("an announced shard that retention took is not offered for ever", () => {
  const graph = new ShardGraph();
  graph.list([shard("0")]);
  graph.end("0", [shard("1", "0")]);
  graph.list([]);
  graph.forget("1");
  expect(graph.readable()).toEqual([]);
});
