import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as sdk from "@aws-sdk/client-kinesis";
import { expect, it, onTestFinished } from "vitest";
import { FakeClock, type FakeKinesis, startEmulator } from "../src/index.ts";
import { bytes, SHARD } from "./setup.ts";

const s = { StreamName: "s" };
const HOUR_MS = 3_600_000;

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), "kc-snapshot-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

async function run(
  snapshot: string,
  at: number,
  work: (kinesis: FakeKinesis, clock: FakeClock) => Promise<void>,
) {
  const clock = new FakeClock({ now: Date.UTC(2026, 0, 1) + at });
  const emulator = await startEmulator({
    clock,
    snapshot,
    transitionMs: 1000,
    quotas: false,
    streams: { s: 1 },
  });
  await work(emulator.kinesis, clock);
  await emulator.close();
}

const put = (kinesis: FakeKinesis, text: string) =>
  kinesis.send(new sdk.PutRecordCommand({ ...s, PartitionKey: "k", Data: bytes(text) }));

const split = (kinesis: FakeKinesis) =>
  kinesis.send(new sdk.SplitShardCommand({ ...s, ShardToSplit: SHARD, NewStartingHashKey: "7" }));

async function openShards(kinesis: FakeKinesis): Promise<(string | undefined)[]> {
  const { Shards } = await kinesis.send(new sdk.ListShardsCommand(s));
  return Shards!
    .filter((shard) => shard.SequenceNumberRange!.EndingSequenceNumber === undefined)
    .map(({ ShardId }) => ShardId);
}

async function read(kinesis: FakeKinesis, input: Partial<sdk.GetShardIteratorInput> = {}) {
  const { ShardIterator } = await kinesis.send(
    new sdk.GetShardIteratorCommand({
      ...s,
      ShardId: SHARD,
      ShardIteratorType: "TRIM_HORIZON",
      ...input,
    }),
  );
  return kinesis.send(new sdk.GetRecordsCommand({ ShardIterator }));
}

it("the next run has the streams, shards, records and settings of the last one", async () => {
  const file = join(directory(), "streams");
  let before: unknown;
  let number: string | undefined;
  await run(file, 0, async (kinesis) => {
    await kinesis.send(new sdk.AddTagsToStreamCommand({ ...s, Tags: { team: "a" } }));
    await kinesis.send(
      new sdk.IncreaseStreamRetentionPeriodCommand({ ...s, RetentionPeriodHours: 48 }),
    );
    ({ SequenceNumber: number } = await put(kinesis, "first"));
    await put(kinesis, "second");
    // Under way when the emulator stops.
    await split(kinesis);
    before = (await read(kinesis)).Records;
  });
  await run(file, HOUR_MS, async (kinesis) => {
    const page = await read(kinesis);
    expect(page.Records).toEqual(before);
    expect(page.ChildShards).toHaveLength(2);
    const after = await read(kinesis, {
      ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber: number,
    });
    expect(after.Records).toHaveLength(1);
    const { Shards } = await kinesis.send(new sdk.ListShardsCommand(s));
    expect(Shards!.map(({ ShardId, ParentShardId }) => [ShardId, ParentShardId])).toEqual([
      [SHARD, undefined],
      ["shardId-000000000001", SHARD],
      ["shardId-000000000002", SHARD],
    ]);
    const { Tags } = await kinesis.send(new sdk.ListTagsForStreamCommand(s));
    expect(Tags).toEqual([{ Key: "team", Value: "a" }]);
    // The next numbers are above, in the children and in a stream that is recreated.
    const third = await put(kinesis, "third");
    expect(BigInt(third.SequenceNumber!)).toBeGreaterThan(BigInt(number!));
    number = third.SequenceNumber;
    await kinesis.send(new sdk.DeleteStreamCommand(s));
  });
  await run(file, HOUR_MS, async (kinesis) => {
    // The option's stream, recreated.
    const fourth = await put(kinesis, "fourth");
    expect(BigInt(fourth.SequenceNumber!)).toBeGreaterThan(BigInt(number!));
  });
});

it("a reshard that was under way is over in the next run, however soon that begins", async () => {
  const file = join(directory(), "streams");
  await run(file, 0, async (kinesis) => void (await split(kinesis)));
  await run(file, 0, async (kinesis) => {
    expect(await openShards(kinesis)).toEqual(["shardId-000000000001", "shardId-000000000002"]);
  });
});

it("a shard that was closed at the epoch stays closed", async () => {
  const file = join(directory(), "streams");
  const epoch = -Date.UTC(2026, 0, 1);
  await run(file, epoch, async (kinesis) => void (await split(kinesis)));
  await run(file, epoch, async (kinesis) => {
    expect((await put(kinesis, "text")).ShardId).toBe("shardId-000000000002");
    const { StreamDescriptionSummary: summary } = await kinesis.send(
      new sdk.DescribeStreamSummaryCommand(s),
    );
    expect(summary!.OpenShardCount).toBe(2);
  });
});

it("time goes on from the last run where the clock is behind it", async () => {
  const file = join(directory(), "streams");
  await run(file, 0, async (kinesis) => void (await put(kinesis, "first")));
  await run(file, -24 * HOUR_MS, async (kinesis, clock) => {
    const first = (await read(kinesis)).Records![0]!.ApproximateArrivalTimestamp!;
    await clock.advance(1000);
    await put(kinesis, "second");
    const page = await read(kinesis, { ShardIteratorType: "AT_TIMESTAMP", Timestamp: first });
    expect(page.Records!.map((record) => +record.ApproximateArrivalTimestamp! - +first)).toEqual([
      0, 1000,
    ]);
    await split(kinesis);
    await clock.advance(1000);
    expect(await openShards(kinesis)).toEqual(["shardId-000000000001", "shardId-000000000002"]);
  });
});

it("what retention took between two runs is gone", async () => {
  const file = join(directory(), "streams");
  await run(file, 0, async (kinesis) => void (await put(kinesis, "old")));
  await run(file, 25 * HOUR_MS, async (kinesis) => {
    expect((await read(kinesis)).Records).toEqual([]);
    await put(kinesis, "new");
    expect((await read(kinesis)).Records).toHaveLength(1);
  });
});

it("a file that is no snapshot is refused with its line, and stays as it is", async () => {
  const file = join(directory(), "streams");
  writeFileSync(file, '{"stream":{}}\n');
  await expect(startEmulator({ snapshot: file })).rejects.toThrow(
    `${file}, line 1: it begins with`,
  );
  expect(readFileSync(file, "utf8")).toBe('{"stream":{}}\n');
});

it.each([
  [
    '{"format":"kc-emulator snapshot 2","earlier":[]}',
    "savedAt: a time in milliseconds, not undefined",
  ],
  [
    '{"format":"kc-emulator snapshot 2","savedAt":"today","earlier":[]}',
    'savedAt: a time in milliseconds, not "today"',
  ],
  [
    '{"format":"kc-emulator snapshot 2","savedAt":1767225600000}',
    "earlier: a list of streams that are gone, not undefined",
  ],
  ["null", "it begins with 'null'"],
])("a first line that lacks what it has to say is refused by name: %s", async (line, message) => {
  const file = join(directory(), "streams");
  writeFileSync(file, `${line}\n`);
  await expect(startEmulator({ snapshot: file })).rejects.toThrow(`${file}, line 1: ${message}`);
});

it("a snapshot that cannot be written fails close(), and leaves no other file", async () => {
  const place = directory();
  // A directory that comes up meanwhile cannot be replaced by a file.
  const emulator = await startEmulator({ snapshot: join(place, "streams") });
  mkdirSync(join(place, "streams"));
  await expect(emulator.close()).rejects.toMatchObject({ code: "EISDIR" });
  expect(readdirSync(place)).toEqual(["streams"]);
});

it("a place where no snapshot can be written is refused at the start, and stays as it is", async () => {
  const place = directory();
  await expect(startEmulator({ snapshot: join(place, "none", "streams") })).rejects.toMatchObject({
    code: "ENOENT",
  });
  expect(readdirSync(place)).toEqual([]);
});
