import { GetRecordsCommand, type GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import { MemoryStore, type Shard } from "../src/index.ts";
import {
  announcedShards,
  listedShards,
  refuseCycle,
  UnexpectedReplyError,
} from "../src/kinesis/reply-shapes.ts";
import { recordsPage } from "../src/kinesis/records-page.ts";
import { DecodedRecords } from "../src/kinesis/page-records.ts";
import { STREAM, World } from "./support/world.ts";

const RECORDS = new DecodedRecords([]);
const METADATA = { $metadata: {} };

test.each([
  [null],
  [{}],
  [{ ShardId: "" }],
  [{ ShardId: 7 }],
  [{ ShardId: "a\nb" }],
  [{ ShardId: "a", ParentShards: [1] }],
  [{ ShardId: "a", ParentShards: ["b c"] }],
])(
  "a last page whose children are malformed names none, so that a listing is asked: %o",
  (child) => {
    const reply = { ...METADATA, Records: [], ChildShards: [{ ShardId: "b" }, child] as never };
    expect(recordsPage(reply, RECORDS, NaN).children).toEqual([]);
  },
);

test.each([Number.NaN, -1, Infinity, null, "7"])("a lag of %o is none", (lag) => {
  const MillisBehindLatest = lag as never;
  const reply = { ...METADATA, Records: [], NextShardIterator: "next", MillisBehindLatest };
  expect(recordsPage(reply, RECORDS, NaN).millisBehindLatest).toBe(0);
});

test.each([
  ["DescribeStreamSummary", {}],
  ["ListShards", {}],
  ["ListShards", { Shards: [{ ShardId: "" }] }],
  ["ListShards", { Shards: [{ ShardId: "a b" }] }],
  ["ListShards", { Shards: [{ ShardId: "a\u001b[31m" }] }],
  ["ListShards", { Shards: [{ ShardId: "a".repeat(129) }] }],
  ["ListShards", { Shards: [{ ShardId: "a", ParentShardId: "b\n" }] }],
  ["ListShards", { Shards: [null] }],
  ["GetShardIterator", {}],
  ["GetRecords", {}],
  ["GetRecords", { Records: [], NextShardIterator: "", MillisBehindLatest: 0 }],
] as const)(
  "an endpoint that answers %s with %o is no stream without shards: it is tried for a minute, then named",
  async (operation, reply) => {
    const world = await World.of();
    const client = {
      send: async (command: { readonly constructor: { readonly name: string } }) =>
        command.constructor.name === `${operation}Command`
          ? { $metadata: { httpStatusCode: 200 }, ...reply }
          : world.kinesis.send(command as never),
    };
    const run = await world.start({ client });
    await world.clock.advance(59_000);
    expect(run.settled).toBeUndefined();
    expect(world.logger.find("warn", /keeps failing/)).toHaveLength(1);
    expect(run.consumer.health().ready).toBe(false);
    await world.clock.advance(31_000);

    expect(run.error).toMatchObject({
      code: "KINESIS_FAILED",
      message: expect.stringContaining(`the reply of ${operation}`),
    });
  },
);

test.each([undefined, null, "", "abc"])(
  "a record whose sequence number is %o is neither delivered nor checkpointed",
  async (SequenceNumber) => {
    const world = await World.of();
    const store = new MemoryStore();
    await world.put("a", "1", "2");
    const client = {
      send: async (command: object): Promise<unknown> => {
        const reply: unknown = await world.kinesis.send(command as GetRecordsCommand);
        if (!(command instanceof GetRecordsCommand)) return reply;
        const { Records, ...rest } = reply as GetRecordsCommandOutput;
        return { ...rest, Records: Records!.map((record) => ({ ...record, SequenceNumber })) };
      },
    };
    const run = await world.start({ client, store, start: "TRIM_HORIZON" });
    await world.clock.advance(90_000);

    expect(run.error).toMatchObject({
      code: "KINESIS_FAILED",
      message: expect.stringContaining("without a sequence number"),
    });
    expect(run.texts).toEqual([]);
    const scope = { application: "billing", streamName: STREAM };
    expect(await store.getCheckpoint(scope, "shardId-000000000000")).toBeUndefined();
  },
);

test("a key counts by its bytes", () => {
  const Data = new Uint8Array(3);
  expect(new DecodedRecords([{ Data, PartitionKey: "é€", SequenceNumber: "1" }]).payloadBytes).toBe(
    8,
  );
});

test("a listing in which a shard waits for itself is refused, however long the way round is", () => {
  const shard = (shardId: string, ...parentShardIds: string[]): Shard => ({
    shardId,
    parentShardIds,
    closed: false,
    hashKeyRange: undefined,
  });
  const chain = Array.from({ length: 10_000 }, (_, i) => shard(`${i}`, `${i + 1}`));
  expect(() => refuseCycle(chain)).not.toThrow();
  expect(() => refuseCycle([shard("a"), shard("b", "a"), shard("c", "a", "b")])).not.toThrow();
  for (const listing of [
    [shard("a", "a")],
    [shard("a", "gone", "b"), shard("b", "a")],
    [...chain, shard("10000", "0")],
  ]) {
    expect(() => refuseCycle(listing)).toThrow(UnexpectedReplyError);
  }
  expect(announcedShards([{ ShardId: "a", ParentShards: ["a"] }])).toEqual([]);
});

test("a closed shard may end at any number: kinesis-local writes 2^63 - 1", () => {
  const shard = {
    ShardId: "shardId-000000000000",
    SequenceNumberRange: {
      StartingSequenceNumber: "49680644681248204460341428787470057444828157051332984834",
      EndingSequenceNumber: "9223372036854775807",
    },
  };
  expect(listedShards([shard])).toEqual([shard]);
});
