import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  type KinesisClient,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { FakeKinesis, type FakeClock, type FakeKinesisOptions } from "../src/index.ts";
import { bytes, setup } from "./setup.ts";

const describeStream = new DescribeStreamSummaryCommand({ StreamName: "s" });
const put = (text: string): PutRecordCommand =>
  new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data: bytes(text) });

/** A call under way; `endedAfter` is by the clock, or undefined while it goes on. */
function begin(
  clock: FakeClock,
  client: Pick<KinesisClient, "send">,
  command: DescribeStreamSummaryCommand | PutRecordCommand | GetRecordsCommand,
) {
  const since = clock.monotonic();
  const controller = new AbortController();
  const call: { endedAfter?: number; error?: unknown; abort: () => void } = {
    abort: () => controller.abort(),
  };
  const end = (error?: unknown): void => {
    call.endedAfter = clock.monotonic() - since;
    call.error = error;
  };
  client
    .send(command as PutRecordCommand, { abortSignal: controller.signal })
    .then(() => end(), end);
  return call;
}

describe("latency", () => {
  it("passes half before the operation and half after it, errors included", async () => {
    const { clock, kinesis } = setup({ latency: 100 });
    const first = begin(clock, kinesis, put("a"));
    const refused = begin(clock, kinesis, new GetRecordsCommand({ ShardIterator: "nonsense" }));
    await clock.advance(50);
    // What another client reads is there by now.
    const other = kinesis.connect();
    expect(await recordsOf(other)).toEqual(["a"]);
    expect([first.endedAfter, refused.endedAfter]).toEqual([undefined, undefined]);
    await clock.advance(50);
    expect([first.endedAfter, refused.endedAfter]).toEqual([100, 100]);
    expect(refused.error).toMatchObject({ name: "InvalidArgumentException" });
  });

  it("may be a function of the call", async () => {
    const { clock, kinesis } = setup({
      latency: ({ operation, input }) =>
        operation === "PutRecord" && input["PartitionKey"] === "k" ? 7 : 0,
    });
    const slow = begin(clock, kinesis, put("a"));
    const quick = begin(clock, kinesis, describeStream);
    await clock.advance(10);
    expect([slow.endedAfter, quick.endedAfter]).toEqual([7, 0]);
  });

  it("ends an aborted call at once; the operation took effect if it had arrived", async () => {
    const { clock, kinesis } = setup({ latency: 100 });
    const early = begin(clock, kinesis, put("early"));
    const late = begin(clock, kinesis, put("late"));
    await clock.advance(49);
    early.abort();
    await clock.advance(2);
    late.abort();
    await clock.settle();
    expect([early.endedAfter, late.endedAfter]).toEqual([49, 51]);
    expect(await recordsOf(kinesis.connect())).toEqual(["late"]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("rejects the call where the function answers nonsense", async () => {
    const { kinesis } = setup({ latency: () => Number.NaN });
    await expect(kinesis.send(describeStream)).rejects.toThrow("latency: milliseconds from 0");
  });
});

describe("bandwidth", () => {
  it("makes a reply take its size longer, shared by the replies under way", async () => {
    const { clock, kinesis, iterator } = setup({ bandwidth: 1000, quotas: false });
    await kinesis.send(put("x".repeat(1999)));
    const command = new GetRecordsCommand({ ShardIterator: await iterator() });
    const alone = begin(clock, kinesis, command);
    await clock.advance(5000);
    expect(alone.endedAfter).toBe(2000);

    const one = begin(clock, kinesis, command);
    await clock.advance(1000);
    const other = begin(clock, kinesis, command);
    const small = begin(clock, kinesis, describeStream);
    await clock.advance(10_000);
    // 1 s alone, then 1 KB left beside 2 KB: both halve the pipe for 2 s, then the other is alone.
    expect([one.endedAfter, other.endedAfter, small.endedAfter]).toEqual([3000, 3000, 0]);
  });

  it("is free again when a transfer is aborted", async () => {
    const { clock, kinesis, iterator } = setup({ bandwidth: 1000, quotas: false });
    await kinesis.send(put("x".repeat(1999)));
    const command = new GetRecordsCommand({ ShardIterator: await iterator() });
    const one = begin(clock, kinesis, command);
    const other = begin(clock, kinesis, command);
    await clock.advance(1000);
    one.abort();
    await clock.advance(10_000);
    expect([one.endedAfter, other.endedAfter]).toEqual([1000, 2500]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("is each client's own", async () => {
    const { clock, kinesis, iterator } = setup({ bandwidth: 1000, quotas: false });
    await kinesis.send(put("x".repeat(1999)));
    const command = new GetRecordsCommand({ ShardIterator: await iterator() });
    const calls = [
      begin(clock, kinesis, command),
      begin(clock, kinesis.connect({ bandwidth: 2000 }), command),
      begin(clock, kinesis.connect(), command),
    ];
    await clock.advance(10_000);
    expect(calls.map(({ endedAfter }) => endedAfter)).toEqual([2000, 1000, 0]);
  });
});

describe("a black hole", () => {
  it("swallows what is under way in it, in both directions, until the caller gives up", async () => {
    const { clock, kinesis } = setup({ latency: 100 });
    const answered = begin(clock, kinesis, put("reply lost"));
    await clock.advance(60);
    const arriving = begin(clock, kinesis, put("request lost"));
    await clock.advance(20);
    kinesis.faults.blackHole({ ms: 1000 });
    const within = begin(clock, kinesis, put("never sent"));
    await clock.advance(1000);
    const after = begin(clock, kinesis, put("after"));
    await clock.advance(3_600_000);
    const lost = [answered, arriving, within];
    expect(lost.map(({ endedAfter }) => endedAfter)).toEqual([undefined, undefined, undefined]);
    expect(after.endedAfter).toBe(100);
    expect(await recordsOf(kinesis.connect())).toEqual(["reply lost", "after"]);

    for (const call of lost) call.abort();
    await clock.settle();
    for (const call of lost) expect(call.error).toMatchObject({ name: "AbortError" });
    expect(clock.pendingTimers).toBe(0);
  });

  it("swallows a reply that is half transferred", async () => {
    const { clock, kinesis, iterator } = setup({ bandwidth: 1000, quotas: false });
    await kinesis.send(put("x".repeat(1999)));
    const command = new GetRecordsCommand({ ShardIterator: await iterator() });
    const call = begin(clock, kinesis, command);
    await clock.advance(1000);
    kinesis.faults.blackHole({ ms: 10 });
    await clock.advance(60_000);
    expect(call.endedAfter).toBeUndefined();
  });

  it("ends when it is taken back, and is one client's own", async () => {
    const { clock, kinesis } = setup();
    const takeBack = kinesis.faults.blackHole({ ms: Infinity });
    const lost = begin(clock, kinesis, describeStream);
    const other = begin(clock, kinesis.connect(), describeStream);
    await clock.advance(60_000);
    takeBack();
    const next = begin(clock, kinesis, describeStream);
    await clock.advance(60_000);
    expect([lost.endedAfter, other.endedAfter, next.endedAfter]).toEqual([undefined, 0, 0]);
  });
});

it.each([
  { latency: -1 },
  { latency: Number.NaN },
  { latency: Infinity },
  { bandwidth: 0 },
  { bandwidth: Infinity },
  { random: 0.5 as never },
] satisfies FakeKinesisOptions[])("refuses the options %j, of connect() too", (options) => {
  expect(() => new FakeKinesis(options)).toThrow(RangeError);
  expect(() => new FakeKinesis().connect(options)).toThrow(RangeError);
});

async function recordsOf(client: FakeKinesis): Promise<string[]> {
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: "s",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  const { Records = [] } = await client.send(new GetRecordsCommand({ ShardIterator }));
  return Records.map(({ Data }) => Buffer.from(Data!).toString());
}
