import { expect, test } from "vitest";
import { isReadable, leasedShards, needsListing } from "../src/groups/leases/leased-shard.ts";
import { formatLineage, parseLineage, type Lineage } from "../src/groups/leases/lineage.ts";
import { announced, discovered } from "../src/groups/leases/listing-changes.ts";
import type { Checkpoint, LeaseRow, Shard } from "../src/index.ts";

const END: Checkpoint = { kind: "shard-end" };

function row(shardId: string, own: Partial<Lineage & LeaseRow> = {}): LeaseRow {
  const { parents = [], listed = true, atStart = true, afterParent = false, ...rest } = own;
  return {
    shardId,
    owner: undefined,
    epoch: 0,
    checkpoint: undefined,
    lineage: formatLineage({ parents, listed, atStart, afterParent }),
    ...rest,
  };
}

const shard = (shardId: string, ...parentShardIds: string[]): Shard => ({
  shardId,
  parentShardIds,
  closed: false,
  hashKeyRange: undefined,
});

const readable = (...rows: LeaseRow[]): string[] => {
  const shards = leasedShards(rows);
  return [...shards.values()].filter((one) => isReadable(one, shards)).map((one) => one.shardId);
};

const NONE: ReadonlyMap<string, Checkpoint> = new Map();

test("a lineage survives its row, and what is none is refused", () => {
  const hashKeyRange = { startingHashKey: "0", endingHashKey: "9".repeat(39) };
  const flags = { listed: false, atStart: true, afterParent: true };
  const lineage = { parents: ["a", "b"], ...flags, hashKeyRange, startingSequenceNumber: "12" };
  expect(parseLineage({ shardId: "s", lineage: formatLineage(lineage) })).toEqual(lineage);
  const range = (of: unknown): string => JSON.stringify({ ...lineage, hashKeyRange: of });
  const damaged = [
    range(null),
    range({}),
    range({ startingHashKey: "0", endingHashKey: 9 }),
    range({ startingHashKey: "9", endingHashKey: "0" }),
    range({ startingHashKey: "0", endingHashKey: "9".repeat(40) }),
    JSON.stringify({ ...lineage, startingSequenceNumber: 12 }),
    JSON.stringify({ ...lineage, startingSequenceNumber: "TRIM_HORIZON" }),
  ];
  for (const text of ["", "{}", "null", "[1]", '{"parents":1}', ...damaged]) {
    expect(() => parseLineage({ shardId: "s", lineage: text })).toThrow(
      expect.objectContaining({ code: "STORE_CORRUPT", shardId: "s" }),
    );
  }
});

test("a child waits for every parent that has a row, and a shard that ended is not read", () => {
  const child = row("c", { parents: ["a", "b"] });
  expect(readable(row("a"), row("b"), child)).toEqual(["a", "b"]);
  expect(readable(row("a", { checkpoint: END }), row("b"), child)).toEqual(["b"]);
  const ended = { checkpoint: END };
  expect(readable(row("a", ended), row("b", ended), child)).toEqual(["c"]);
});

test("a parent without a row is gone for a shard that was listed, and unknown for one announced", () => {
  expect(readable(row("c", { parents: ["gone"] }))).toEqual(["c"]);
  expect(readable(row("c", { parents: ["gone"], listed: false }))).toEqual([]);
});

test("the first listing makes rows that were there at the start, later ones do not", () => {
  const first = discovered(
    {
      listing: [shard("a"), shard("b", "old")],
      gone: new Set(),
      checkpoints: new Map([["old", END]]),
      isFirst: true,
    },
    new Map(),
  );
  expect(first.put.map(parseLineage)).toEqual([
    { parents: [], listed: true, atStart: true, afterParent: false },
    { parents: ["old"], listed: true, atStart: true, afterParent: true },
  ]);
  const known = leasedShards([row("a")]);
  const later = discovered(
    {
      listing: [shard("a"), shard("b", "a")],
      gone: new Set(),
      checkpoints: NONE,
      isFirst: false,
    },
    known,
  );
  expect(later.put.map(parseLineage)).toEqual([
    { parents: ["a"], listed: true, atStart: false, afterParent: true },
  ]);
});

test("a listing confirms what was announced, and keeps what was known of it", () => {
  const children = announced([shard("c", "a", "b")], leasedShards([row("a")]));
  const [child] = children;
  const both = announced([shard("c", "a", "b"), shard("c", "a", "b")], leasedShards([row("a")]));
  expect(both, "announced by both parents").toEqual(children);
  expect(parseLineage(child!)).toMatchObject({ listed: false, afterParent: true, atStart: false });
  expect(announced([shard("a")], leasedShards([row("a")]))).toEqual([]);
  const shards = leasedShards([row("a"), { ...row("c"), ...child }]);
  const { put, gone } = discovered(
    {
      listing: [shard("a"), shard("b"), shard("c", "a", "b")],
      gone: new Set(),
      checkpoints: NONE,
      isFirst: false,
    },
    shards,
  );
  expect(put.map(({ shardId, replaces }) => [shardId, replaces])).toEqual([
    ["b", undefined],
    ["c", child!.lineage],
  ]);
  expect(parseLineage(put[1]!)).toMatchObject({ listed: true, afterParent: true, atStart: false });
  expect(gone).toEqual([]);
});

test("a listing adds the hash keys and the first number that a row lacks, corrects others, and keeps the row's notes", () => {
  const before =
    '{"parents":["p"],"listed":true,"atStart":true,"afterParent":true,"unreadBy":"w#1"}';
  const hashKeyRange = { startingHashKey: "0", endingHashKey: "9" };
  const change = (listing: Shard, lineage: string) => {
    const shards = leasedShards([row("c", { lineage })]);
    const news = { listing: [listing], gone: new Set<string>(), checkpoints: NONE, isFirst: false };
    return discovered(news, shards).refresh;
  };
  const listing = { ...shard("c", "p"), hashKeyRange };
  const [put] = change(listing, before);
  expect(put).toMatchObject({ shardId: "c", replaces: before });
  const wanted = { parents: ["p"], listed: true, atStart: true, afterParent: true, hashKeyRange };
  expect(parseLineage(put!)).toEqual({ ...wanted, unreadBy: "w#1" });
  expect(change(listing, put!.lineage), "it is there").toEqual([]);
  expect(change(shard("c", "p"), put!.lineage), "the listing has none").toEqual([]);
  const other = { startingHashKey: "0", endingHashKey: "5" };
  const [corrected] = change({ ...listing, hashKeyRange: other }, put!.lineage);
  expect(parseLineage(corrected!)).toMatchObject({ hashKeyRange: other, unreadBy: "w#1" });
  const numbered = { ...listing, startingSequenceNumber: "12" };
  const [named] = change(numbered, put!.lineage);
  const number = { startingSequenceNumber: "12" };
  expect(parseLineage(named!)).toEqual({ ...wanted, ...number, unreadBy: "w#1" });
  expect(change(numbered, named!.lineage), "it is there").toEqual([]);
  expect(change(listing, named!.lineage), "the listing has none").toEqual([]);
});

test("members that a later version may write are ignored", () => {
  const lineage = '{"parents":[],"listed":true,"atStart":true,"afterParent":false,"later":{"a":1}}';
  const known = { parents: [], listed: true, atStart: true, afterParent: false };
  expect(parseLineage({ shardId: "s", lineage })).toEqual(known);
});

test("gone are listed shards that two listings missed, and of those announced only ancestors", () => {
  const announcedOnly = { listed: false, afterParent: true, atStart: false };
  const shards = leasedShards([
    row("old"),
    row("held", { owner: "w#1" }),
    row("missed-once"),
    row("first", { ...announcedOnly, checkpoint: END }),
    row("second", { ...announcedOnly, parents: ["first", "other"] }),
    row("third", { parents: ["second"] }),
    row("fresh", { ...announcedOnly, parents: ["third"] }),
  ]);
  const listing = [shard("third", "second")];
  const missing = new Set(["old", "held", "first", "second", "fresh"]);
  const { gone } = discovered(
    { listing, gone: missing, checkpoints: NONE, isFirst: false },
    shards,
  );
  expect(gone.map(({ shardId }) => shardId)).toEqual(["old", "held", "first", "second"]);
});

test("a listing is needed where rows lack all shards, a shard's children, or a parent that is waited for", () => {
  expect(needsListing(leasedShards([]))).toBe(true);
  const child = { parents: ["a", "b"], listed: false };
  expect(needsListing(leasedShards([row("a"), row("c", child)]))).toBe(true);
  expect(needsListing(leasedShards([row("a"), row("b"), row("c", child)]))).toBe(false);
  expect(needsListing(leasedShards([row("a")]))).toBe(false);
  expect(needsListing(leasedShards([row("a", { checkpoint: END })]))).toBe(true);
  const rows = [row("a", { checkpoint: END }), row("c", { parents: ["a"] })];
  expect(needsListing(leasedShards(rows))).toBe(false);
});
