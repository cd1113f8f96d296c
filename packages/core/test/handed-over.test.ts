import { Encoder, Tag } from "cbor-x";
import { expect, test } from "vitest";
import {
  checkpointAt,
  MemoryStore,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type StoreScope,
} from "../src/index.ts";
import { readCborReply } from "../src/kinesis/wire/cbor-reply.ts";
import { keyOf } from "./support/calls.ts";
import { RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { World } from "./support/world.ts";

/** Users' code may write into whatever it was given: nothing of it is trusted afterwards. */
const SHARD = "shardId-000000000000";
const AHEAD = "9".repeat(56);

test("a handler that writes into its record moves no checkpoint: what follows a failure comes again", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const numbers = await world.put("a", "1", "2", "3", "4");
  const first = await world.start({ store, start: "TRIM_HORIZON" }, (record) => {
    if (record.text() === "2") throw new Error("no");
    Object.assign(record, { sequenceNumber: AHEAD, subSequenceNumber: 7, shardId: "elsewhere" });
  });
  await first.stop();
  expect(store.stored(SHARD)).toEqual(checkpointAt({ sequenceNumber: numbers[0]! }));

  const second = await world.start({ store });
  expect(second.texts).toEqual(["2", "3", "4"]);
});

test("a failure is reported for the record that was handed over, whatever the handler made of it", async () => {
  const world = await World.of();
  const [number] = await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) => {
    Object.assign(record, { sequenceNumber: AHEAD, shardId: "elsewhere" });
    throw new Error("no");
  });
  expect(run.error).toMatchObject({
    code: "HANDLER_FAILED",
    shardId: SHARD,
    message: expect.stringContaining(`${SHARD}: the handler failed at ${number}: Error`),
  });
});

test("a handler that writes into its context or fence changes neither metrics nor checkpoints", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const group = new ScriptedGroup(store.data);
  await world.start({ store, group, start: "TRIM_HORIZON" }, (_record, context) => {
    Object.assign(context.fence!, { epoch: 99, owner: "nobody" });
    Object.assign(context, { shardId: "elsewhere" });
  });
  const { fence } = group.grant(SHARD);
  const numbers = await world.put("a", "1", "2");
  await world.clock.advance(3000);
  expect(store.bulkWrites.flatMap(({ writes }) => writes)).toEqual([
    { shardId: SHARD, checkpoint: checkpointAt({ sequenceNumber: numbers[1]! }), fence },
  ]);
  expect(fence).toEqual({ epoch: 1, owner: "w1#a" });
  expect(world.counter.total("records", { shardId: SHARD })).toBe(2);
});

test("a record's data that is handed over to another thread leaves the rest of its page whole", () => {
  const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
  const page = encoder.encode({
    Records: ["1", "2"].map((text) => ({
      SequenceNumber: text.repeat(56),
      ApproximateArrivalTimestamp: new Tag(1_790_000_000_123, 1),
      Data: Buffer.from(text),
      PartitionKey: "key",
    })),
  });
  const { records } = readCborReply(new Uint8Array(page));
  const { data } = records.record(0, SHARD, 0);
  // Node 20 copies it all the same; later versions throw.
  try {
    structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
  } catch (error) {
    expect(error).toMatchObject({ name: "DataCloneError" });
  }
  expect(records.sequenceNumber(1)).toBe("2".repeat(56));
  expect(records.record(1, SHARD, 0).text()).toBe("2");
});

test("a store that sorts the writes in place is refused: its answers could not be told apart", async () => {
  const world = await World.of({ shards: 2 });
  class SortingStore extends MemoryStore {
    override setCheckpoints(
      scope: StoreScope,
      writes: readonly CheckpointWrite[],
    ): Promise<readonly BulkCheckpointResult[]> {
      (writes as CheckpointWrite[]).sort((a, b) => (a.shardId < b.shardId ? 1 : -1));
      return super.setCheckpoints(scope, writes);
    }
  }
  await world.put(keyOf(0, 2), "1");
  await world.put(keyOf(1, 2), "2");
  const run = await world.start({ store: new SortingStore(), start: "TRIM_HORIZON" });
  await world.clock.advance(2000);
  expect(run.error).toMatchObject({ code: "STORE_FAILED", cause: expect.any(TypeError) });
});

test("checkpoints that are handed out cannot be written into", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  await world.put("a", "1");
  await world.run(consumer);
  await world.clock.advance(2000);
  const { position, acknowledged } = consumer.status().shards[0]!;
  const stored = await store.getCheckpoint({ application: "billing", streamName: "orders" }, SHARD);
  for (const checkpoint of [position, acknowledged, stored]) {
    expect(() => Object.assign(checkpoint!, { sequenceNumber: AHEAD })).toThrow(TypeError);
  }
});
