import {
  CreateStreamCommand,
  DeleteStreamCommand,
  type DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
  UpdateStreamRecordDistributionStrategyCommand,
  type Shard,
} from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import { expect, onTestFinished, test, vi } from "vitest";
import { aggregate, Aggregator, PutError, type UserRecord } from "../src/index.ts";
import { hashKeyOf } from "../src/shard-map.ts";

const STREAM = "orders";
const record = (partitionKey: string, text: string): UserRecord => ({
  partitionKey,
  data: Buffer.from(text),
});

/** `each` records for each of some keys, of which every shard has some. */
const records = (each: number): UserRecord[] =>
  Array.from({ length: 20 * each }, (_, i) => record(`key ${i % 20}`, `${Math.floor(i / 20)}`));

async function stream(shards: number, options = {}): Promise<FakeKinesis> {
  const kinesis = new FakeKinesis(options);
  await kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: shards }));
  return kinesis;
}

/** Keys do not decide the shard of its records. */
async function autoStream(): Promise<FakeKinesis> {
  const kinesis = new FakeKinesis();
  await kinesis.send(
    new CreateStreamCommand({
      StreamName: STREAM,
      StreamModeDetails: { StreamMode: "ON_DEMAND" },
      RecordDistributionStrategy: "AUTO",
    }),
  );
  return kinesis;
}

async function listed(kinesis: FakeKinesis): Promise<Shard[]> {
  return (await kinesis.send(new ListShardsCommand({ StreamName: STREAM }))).Shards!;
}

/** The stream records of each shard. */
async function read(kinesis: FakeKinesis): Promise<Map<string, Uint8Array[]>> {
  const all = new Map<string, Uint8Array[]>();
  for (const { ShardId } of await listed(kinesis)) {
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: STREAM,
        ShardId,
        ShardIteratorType: "TRIM_HORIZON",
      }),
    );
    const { Records } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
    all.set(
      ShardId!,
      Records!.map(({ Data }) => Data!),
    );
  }
  return all;
}

test("records of a shard travel together and in their order", async () => {
  const kinesis = await stream(4);
  const shards = await listed(kinesis);
  const packed = aggregate(records(3), { shards });
  expect(packed).toHaveLength(4);
  for (const { shardId, records: inside, entry } of packed) {
    const { HashKeyRange } = shards.find(({ ShardId }) => ShardId === shardId)!;
    const keys = [BigInt(entry.ExplicitHashKey!), ...inside.map(hashKeyOf)];
    for (const key of keys) {
      expect(key >= BigInt(HashKeyRange!.StartingHashKey!)).toBe(true);
      expect(key <= BigInt(HashKeyRange!.EndingHashKey!)).toBe(true);
    }
    for (const { partitionKey } of inside) {
      const own = inside.filter((each) => each.partitionKey === partitionKey);
      expect(own.map(({ data }) => Buffer.from(data).toString())).toEqual(["0", "1", "2"]);
    }
  }
});

test("no aggregate is longer than asked for, and each is as full as it can be", () => {
  const packed = aggregate(records(50), { maxBytes: 500 });
  const lengths = packed.map(({ entry }) => entry.Data!.byteLength);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(500);
  expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThan(475);
  expect(packed.reduce((sum, { records: inside }) => sum + inside.length, 0)).toBe(1000);
});

test("what the service counts with an aggregate is in its length: a stream takes those as long as it allows", async () => {
  const kinesis = await stream(1);
  const aggregator = new Aggregator({ client: kinesis, stream: STREAM, maxBytes: 1024 * 1024 });
  const key = "ü".repeat(256);
  await aggregator.put(Array.from({ length: 11_000 }, () => record(key, "x".repeat(100))));
  const [aggregates] = [...(await read(kinesis)).values()];
  const [longest] = aggregates!;
  expect(longest!.byteLength + Buffer.byteLength(key)).toBeGreaterThan(1024 * 1024 - 110);
});

test("a record that is alone, or too long, is put as it is, unless it looks like an aggregate itself", () => {
  const long = record("a", "x".repeat(1000));
  expect(aggregate([long, record("b", "y")], { maxBytes: 500 }).map(({ entry }) => entry)).toEqual([
    { Data: long.data, PartitionKey: "a" },
    { Data: Buffer.from("y"), PartitionKey: "b" },
  ]);
  const [inside] = aggregate([record("a", "1"), record("a", "2")]);
  const nested = aggregate([{ partitionKey: "a", data: inside!.entry.Data! }]);
  expect(nested[0]!.entry.Data).not.toEqual(inside!.entry.Data);
});

test.each<readonly [string, unknown, RegExp]>([
  ["no bytes", { partitionKey: "a", data: "text" }, /record 0 .* Uint8Array/],
  ["no key", { partitionKey: "", data: Buffer.of() }, /record 0 .* partitionKey/],
  ["a key that is too long", { partitionKey: "x".repeat(257), data: Buffer.of() }, /256/],
  ["a hash key that is none", { ...record("a", ""), explicitHashKey: "-1" }, /explicitHashKey/],
  [
    "a hash key that is too large",
    { ...record("a", ""), explicitHashKey: `${2n ** 128n}` },
    /2\^128/,
  ],
])("a record with %s is refused, and named", (_what, given, message) => {
  expect(() => aggregate([given as UserRecord])).toThrow(message);
});

test("put resolves when the stream has everything", async () => {
  const kinesis = await stream(4);
  await new Aggregator({ client: kinesis, stream: STREAM }).put(records(3));
  const all = [...(await read(kinesis)).values()];
  expect(all.map((inside) => inside.length)).toEqual([1, 1, 1, 1]);
});

/** The stream takes every second record of the first request, and then everything. */
function refusingSome(kinesis: FakeKinesis) {
  let requests = 0;
  return {
    async send(command: PutRecordsCommand): Promise<unknown> {
      if (command.constructor !== PutRecordsCommand) return kinesis.send(command);
      requests += 1;
      const { StreamName, Records: given = [] } = command.input;
      const taken = given.filter((_, i) => requests > 1 || i % 2 === 0);
      const { Records } = await kinesis.send(new PutRecordsCommand({ StreamName, Records: taken }));
      const results = given.map((entry) =>
        taken.includes(entry)
          ? Records!.shift()
          : { ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: "Rate exceeded" },
      );
      return { Records: results };
    },
  };
}

test("what the stream refuses is put again, and nothing else", async () => {
  const kinesis = await stream(4);
  const client = refusingSome(kinesis);
  await new Aggregator({ client, stream: STREAM, minDelayMs: 0, maxDelayMs: 0 }).put(records(3));
  const lengths = [...(await read(kinesis)).values()].map((inside) => inside.length);
  expect(lengths).toEqual([1, 1, 1, 1]);
});

test("after a reshard, what came to the wrong shard is put again where it belongs", async () => {
  const kinesis = await stream(1);
  const aggregator = new Aggregator({ client: kinesis, stream: STREAM, minDelayMs: 0 });
  await aggregator.put(records(1));
  await kinesis.send(
    new SplitShardCommand({
      StreamName: STREAM,
      ShardToSplit: "shardId-000000000000",
      NewStartingHashKey: `${2n ** 127n}`,
    }),
  );
  await aggregator.put(records(1));
  // The parent has the first; the child that took the second gets what is its own again in the other.
  const lengths = [...(await read(kinesis)).values()].map((inside) => inside.length);
  expect(lengths).toEqual([1, 1, 1]);
});

/** A stream that was split, and so many listings that do not show it. */
async function splitBehind(listings: number) {
  const kinesis = await stream(1);
  const before = await kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  const ShardToSplit = "shardId-000000000000";
  const NewStartingHashKey = `${2n ** 127n}`;
  await kinesis.send(
    new SplitShardCommand({ StreamName: STREAM, ShardToSplit, NewStartingHashKey }),
  );
  let left = listings;
  const client = {
    async send(command: ListShardsCommand): Promise<unknown> {
      if (command.constructor !== ListShardsCommand || left === 0) return kinesis.send(command);
      left -= 1;
      return before;
    },
  };
  const options = { client, stream: STREAM, minDelayMs: 0, maxDelayMs: 0, maxAttempts: 3 };
  return { kinesis, aggregator: new Aggregator(options) };
}

test("a listing that does not name the shard that took records is asked for again", async () => {
  const { kinesis, aggregator } = await splitBehind(3);
  await aggregator.put(records(1));
  const lengths = [...(await read(kinesis)).values()].map((inside) => inside.length);
  expect(lengths).toEqual([0, 1, 1]);
});

test("a listing that never names it fails with the records of which nobody knows where they belong", async () => {
  const { aggregator } = await splitBehind(4);
  const error: unknown = await aggregator.put(records(1)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "PutError", records: records(1) });
  const { cause } = error as PutError;
  expect(cause).toMatchObject({
    message: expect.stringMatching(/ListShards does not name shardId-/),
  });
});

test("a listing without a shard for some hash keys is asked for again, and not kept", async () => {
  const kinesis = await stream(2);
  let missing = 4;
  const client = {
    async send(command: ListShardsCommand): Promise<unknown> {
      const output = await kinesis.send(command);
      if (command.constructor !== ListShardsCommand || missing === 0) return output;
      missing -= 1;
      return { Shards: output.Shards!.slice(0, missing % 2) };
    },
  };
  const options = { client, stream: STREAM, minDelayMs: 0, maxDelayMs: 0, maxAttempts: 3 };
  const aggregator = new Aggregator(options);
  const error: unknown = await aggregator.put(records(1)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    name: "PutError",
    records: records(1),
    cause: { message: "ListShards names no open shard for some hash keys" },
  });
  await aggregator.put(records(1));
  expect([...(await read(kinesis)).values()].map((inside) => inside.length)).toEqual([1, 1]);
});

test("where keys do not decide the shard, and the SDK does not say so, nothing is put for ever", async () => {
  const kinesis = await autoStream();
  // Shards take turns: each record comes to another shard than the one it is made for, at every try.
  await kinesis.send(
    new PutRecordsCommand({ StreamName: STREAM, Records: [{ Data: Buffer.from("first") }] }),
  );
  let put = 0;
  const client = {
    async send(command: PutRecordsCommand | DescribeStreamSummaryCommand): Promise<unknown> {
      if (command instanceof PutRecordsCommand) put += command.input.Records!.length;
      if (put > 100) throw new Error("it is put for ever");
      const output = await kinesis.send(command as DescribeStreamSummaryCommand);
      delete output.StreamDescriptionSummary?.RecordDistributionStrategy;
      return output;
    },
  };
  const aggregator = new Aggregator({ client, stream: STREAM, minDelayMs: 0, maxDelayMs: 0 });
  await aggregator.put(records(1));
  expect(put).toBe(4);
  await aggregator.put(records(1));
  expect(put).toBe(5);
});

test("a stream that is switched from AUTO to its keys has records by shard within a minute", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => now.mockRestore());
  const kinesis = await autoStream();
  const aggregator = new Aggregator({ client: kinesis, stream: STREAM });
  const put = async (): Promise<number> => {
    const before = [...(await read(kinesis)).values()].flat().length;
    await aggregator.put(records(1));
    return [...(await read(kinesis)).values()].flat().length - before;
  };
  expect(await put()).toBe(1);
  await kinesis.send(
    new UpdateStreamRecordDistributionStrategyCommand({
      StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${STREAM}`,
      RecordDistributionStrategy: "USER_PARTITION_KEY",
    }),
  );
  now.mockReturnValue(60_000);
  expect(await put()).toBe(4);
});

test.each(["while nothing is put", "while records are put"])(
  "a stream that is recreated %s has records by its new shards",
  async (when) => {
    const now = vi.spyOn(performance, "now").mockReturnValue(0);
    onTestFinished(() => now.mockRestore());
    const kinesis = await stream(2);
    const aggregator = new Aggregator({ client: kinesis, stream: STREAM, minDelayMs: 0 });
    await aggregator.put(records(1));
    await kinesis.send(new DeleteStreamCommand({ StreamName: STREAM }));
    if (when === "while nothing is put") now.mockReturnValue(60_000);
    else await expect(aggregator.put(records(1))).rejects.toThrow("20 records were not put");
    await kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 4 }));
    await aggregator.put(records(1));
    expect([...(await read(kinesis)).values()].map((inside) => inside.length)).toEqual([
      1, 1, 1, 1,
    ]);
  },
);

test("a stream that takes nothing fails with the records that it did not take", async () => {
  const given = records(1);
  const refusing = {
    send: async (command: { constructor: { name: string }; input: { Records?: unknown[] } }) => {
      const { name } = command.constructor;
      if (name === "DescribeStreamSummaryCommand") return { StreamDescriptionSummary: {} };
      if (name === "ListShardsCommand") {
        const HashKeyRange = { StartingHashKey: "0", EndingHashKey: `${2n ** 128n - 1n}` };
        return { Shards: [{ ShardId: "shardId-000000000000", HashKeyRange }] };
      }
      return {
        FailedRecordCount: 1,
        Records: command.input.Records!.map(() => ({
          ErrorCode: "ProvisionedThroughputExceededException",
          ErrorMessage: "Rate exceeded",
        })),
      };
    },
  };
  const aggregator = new Aggregator({
    client: refusing,
    stream: STREAM,
    maxAttempts: 3,
    minDelayMs: 0,
    maxDelayMs: 0,
  });
  const error: unknown = await aggregator.put(given).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PutError);
  expect(error).toMatchObject({
    message: "20 records were not put",
    records: given,
    cause: { message: /ProvisionedThroughputExceeded/ },
  });
});
