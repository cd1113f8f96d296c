import { expect, test } from "vitest";
import { checkedStore } from "../src/checkpoints/checked-store.ts";
import {
  describeError,
  MemoryStore,
  type LeaseRow,
  type LeaseStore,
  type WorkerRow,
} from "../src/index.ts";
import { GroupWorld, SCOPE } from "./support/group-world.ts";
import { RecordingStore, answering } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000001";
const LINEAGE = { listed: true, atStart: true, afterParent: false };
const BEYOND = Number("9007199254740993");

/** Rows that no store of ours writes. Each of them made an application stand still, or worse. */
const WORKERS: readonly (readonly [string, Partial<WorkerRow>])[] = [
  ["a weight of -1", { weight: -1 }],
  ["a weight of 0", { weight: 0 }],
  ["a weight that is no number", { weight: NaN }],
  ["a weight whose sums have no end", { weight: Number.MAX_VALUE }],
  ["a negative limit", { maxShards: -1 }],
  ["a limit that is no whole number", { maxShards: 0.5 }],
  ["a counter beyond what a number holds", { counter: BEYOND }],
  ["a negative counter", { counter: -1 }],
  ["an empty incarnation", { incarnation: "" }],
];

test.each(WORKERS)(
  "a worker's row with %s ends the scan and is named, not waited for",
  async (_what, damage) => {
    const group = await GroupWorld.of({ shards: 2 });
    const { clock } = group.world;
    const a = await group.join("a");
    await clock.advance(5000);
    expect(a.reads).toEqual(["00", "01"]);
    const application = group.data.application(SCOPE);
    const sound = {
      workerId: "other",
      incarnation: "i",
      weight: 1,
      maxShards: undefined,
      counter: 0,
    };
    application.workers.set("other", { ...sound, ...damage });
    application.revision += 1;
    await clock.advance(5000);
    expect(a.run.error).toMatchObject({ code: "STORE_CORRUPT", retryable: false });
    expect(describeError(a.run.error)).toMatch(/the row of worker "other" has .*: delete the row/);
    expect(a.run.consumer.health().ready).toBe(false);
  },
);

const LEASES: readonly (readonly [string, Partial<LeaseRow>])[] = [
  ["an epoch beyond what a number holds", { epoch: BEYOND }],
  ["a negative epoch", { epoch: -1 }],
  ["an empty owner", { owner: "" }],
  ["a lineage of 5 MB", { lineage: JSON.stringify({ parents: ["p".repeat(5e6)], ...LINEAGE }) }],
  ["a lineage that is no object", { lineage: "null" }],
  [
    "a lineage whose parents are no texts",
    { lineage: JSON.stringify({ parents: [1], ...LINEAGE }) },
  ],
  ["a lineage that says not whether it was listed", { lineage: '{"parents":[]}' }],
  ["itself as its parent", { lineage: JSON.stringify({ parents: [SHARD], ...LINEAGE }) }],
  ["a sequence number that is none", { checkpoint: { kind: "position", sequenceNumber: "1e9" } }],
  [
    "a negative sub-sequence number",
    { checkpoint: { kind: "position", sequenceNumber: "1", subSequenceNumber: -1 } },
  ],
];

test.each(LEASES)(
  "a lease's row with %s ends the scan and names the shard",
  async (_what, damage) => {
    const group = await GroupWorld.of({ shards: 2 });
    const { clock } = group.world;
    const a = await group.join("a");
    await clock.advance(5000);
    Object.assign(group.data.shard(SCOPE, SHARD), damage);
    group.data.application(SCOPE).revision += 1;
    await clock.advance(5000);
    expect(a.run.error).toMatchObject({ code: "STORE_CORRUPT", retryable: false, shardId: SHARD });
    expect(describeError(a.run.error)).toContain(`"${SHARD}"`);
    expect(describeError(a.run.error).length).toBeLessThan(400);
    expect(a.run.consumer.health().ready).toBe(false);
  },
);

test("two shards that are each other's parents end the scan instead of waiting for each other", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const a = await group.join("a");
  await clock.advance(5000);
  for (const [shardId, parent] of [
    [SHARD, "shardId-000000000000"],
    ["shardId-000000000000", SHARD],
  ] as const) {
    group.data.shard(SCOPE, shardId).lineage = JSON.stringify({ parents: [parent], ...LINEAGE });
  }
  group.data.application(SCOPE).revision += 1;
  await clock.advance(5000);
  expect(a.run.error).toMatchObject({
    code: "STORE_CORRUPT",
    shardId: expect.stringMatching(/^shardId-/),
  });
});

test.each([
  ["a revision", { revision: BEYOND }],
  ["a negative revision", { revision: -1 }],
])("%s that is no count ends the scan", async (_what, damage) => {
  const group = await GroupWorld.of({ shards: 1 });
  const a = await group.join("a");
  await group.world.clock.advance(5000);
  Object.assign(group.data.application(SCOPE), damage);
  await group.world.clock.advance(5000);
  expect(a.run.error).toMatchObject({ code: "STORE_CORRUPT" });
});

test.each([
  ["no start", { start: undefined }],
  ["a start that is no time", { start: { timestamp: new Date(NaN) } }],
  ["a first start that is no time", { startedAt: new Date(NaN) }],
  ["a creation that is no time", { streamCreationTimestamp: new Date(NaN) }],
])("an application's row with %s ends the scan", async (_what, damage) => {
  const world = await World.of({ shards: 1 });
  const store = new RecordingStore(world.clock);
  const row = {
    ...SCOPE,
    streamARN: "",
    start: "LATEST" as const,
    startedAt: new Date(0),
    migrated: false,
    ...damage,
  };
  store.let("openApplication", answering({ outcome: "existing", row }));
  const run = await world.start({ store });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "STORE_CORRUPT", retryable: false });
  expect(describeError(run.error)).toContain('application "billing"');
});

test("a checkpoint that is none ends the scan and names the shard", async () => {
  const world = await World.of({ shards: 1 });
  const store = new RecordingStore(world.clock);
  store.let(
    "getCheckpoints",
    answering(new Map([[SHARD, { kind: "position", sequenceNumber: "" }]])),
  );
  const run = await world.start({ store });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "STORE_CORRUPT", shardId: SHARD });
  expect(describeError(run.error)).toContain("reset that shard");
});

test("a frozen store, and one with private members, work behind the door", async () => {
  const inner = new MemoryStore();
  const frozen = Object.freeze({
    capabilities: inner.capabilities,
    listWorkers: inner.listWorkers.bind(inner),
  }) as unknown as LeaseStore;
  for (const store of [frozen, inner]) {
    const checked = checkedStore(store);
    expect(await checked.listWorkers(SCOPE)).toEqual({ revision: 0, workers: [] });
    expect(checked.capabilities).toBe(inner.capabilities);
  }
  expect("watch" in checkedStore(frozen)).toBe(false);
});

test("a store is still an object behind the door: a text is made of it as of any other", () => {
  const store: unknown = checkedStore(new MemoryStore());
  expect(String(store)).toBe("[object Object]");
});
