import {
  DescribeStreamSummaryCommand,
  InvalidArgumentException,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  type KinesisClient,
} from "@aws-sdk/client-kinesis";
import { describe, expect, expectTypeOf, it } from "vitest";
import { FakeKinesis, startEmulator, type FakeKinesisOptions } from "../src/index.ts";
import { bytes, setup } from "./setup.ts";

describe("send", () => {
  it("has the type of the SDK client's send", () => {
    expectTypeOf<FakeKinesis>().toExtend<Pick<KinesisClient, "send" | "destroy">>();
  });

  it("gives outputs in the SDK's shape", async () => {
    const { clock, put, iterator, read } = setup();
    const written = await put("hello");
    const page = await read(await iterator());
    expect(page).toEqual({
      $metadata: {
        httpStatusCode: 200,
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        attempts: 1,
        totalRetryDelay: 0,
      },
      MillisBehindLatest: 0,
      NextShardIterator: expect.any(String),
      Records: [
        {
          ApproximateArrivalTimestamp: new Date(clock.now()),
          Data: bytes("hello"),
          PartitionKey: "k",
          SequenceNumber: written.SequenceNumber,
        },
      ],
    });
  });

  it("throws the SDK's errors", async () => {
    const { read } = setup();
    const error = await read("nonsense").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidArgumentException);
    expect(error).toMatchObject({
      name: "InvalidArgumentException",
      message: "Invalid ShardIterator.",
      $fault: "client",
      $metadata: { httpStatusCode: 400, attempts: 1, requestId: expect.any(String) },
    });
  });

  it("refuses a missing or impossible argument as the service does", async () => {
    const { iterator, kinesis } = setup();
    await expect(iterator({ ShardId: undefined })).rejects.toThrow(
      "1 validation error detected: Value null at 'shardId' failed to satisfy constraint: " +
        "Member must not be null",
    );
    const records = Array.from({ length: 501 }, () => ({ PartitionKey: "k", Data: bytes("") }));
    await expect(
      kinesis.send(new PutRecordsCommand({ StreamName: "s", Records: records })),
    ).rejects.toThrow("Member must have length less than or equal to 500");
  });

  it("refuses a command that it does not know", async () => {
    const { kinesis } = setup();
    const command = new RegisterStreamConsumerCommand({ StreamARN: "a", ConsumerName: "c" });
    await expect(kinesis.send(command)).rejects.toThrow(TypeError);
  });

  it("calls back where the SDK's client would", async () => {
    const { kinesis } = setup();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    const output = await new Promise((resolve) => {
      kinesis.send(command, (_error, data) => resolve(data));
    });
    expect(output).toMatchObject({ StreamDescriptionSummary: { StreamStatus: "ACTIVE" } });
  });

  it("keeps its records apart from the caller's and the reader's buffers", async () => {
    const { kinesis, iterator, read } = setup();
    const Data = bytes("abc");
    await kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    Data.fill(0);
    const first = await read(await iterator());
    first.Records?.[0]?.Data?.fill(0);
    const second = await read(await iterator());
    expect(second.Records?.[0]?.Data).toEqual(bytes("abc"));
  });
});

describe("an abort signal", () => {
  it("rejects a call, before it and during it, with an AbortError", async () => {
    const { kinesis, clock } = setup();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    await expect(kinesis.send(command, { abortSignal: AbortSignal.abort() })).rejects.toMatchObject(
      { name: "AbortError" },
    );

    kinesis.faults.delay({ ms: 60_000 });
    const controller = new AbortController();
    const reply = kinesis.send(command, { abortSignal: controller.signal });
    const outcome = reply.catch((error: unknown) => error);
    await clock.settle();
    controller.abort();
    expect(await outcome).toMatchObject({ name: "AbortError" });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("the call log", () => {
  it("names the calls and their inputs, without payloads", async () => {
    const { clock, kinesis, put, iterator } = setup();
    await put("a");
    await iterator();
    expect(kinesis.calls).toEqual([
      {
        operation: "PutRecord",
        input: { StreamName: "s", PartitionKey: "k" },
        at: clock.now(),
      },
      expect.objectContaining({ operation: "GetShardIterator" }),
    ]);
    expect(kinesis.countOf("PutRecord")).toBe(1);
    kinesis.resetCalls();
    expect([kinesis.calls.length, kinesis.countOf("PutRecord")]).toEqual([0, 0]);
  });

  it("is bounded; the counts go on", async () => {
    const { kinesis } = setup({ quotas: false });
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    for (let i = 0; i < 2500; i++) await kinesis.send(command);
    expect(kinesis.calls.length).toBeLessThanOrEqual(2000);
    expect(kinesis.countOf("DescribeStreamSummary")).toBe(2500);
  });
});

it.each([
  { transitionMs: -1 },
  { listingLagMs: -1 },
  { maxRecordsPerPage: 0 },
  { emptyPagesWhileBehind: 1.5 },
  { account: "1" },
  { streams: { s: 0 } },
] satisfies FakeKinesisOptions[])("refuses the options %j", (options) => {
  expect(() => new FakeKinesis(options)).toThrow(RangeError);
});

it("refuses an option that there is not, as the server does", async () => {
  const typo: object = { stream: "orders" };
  expect(() => new FakeKinesis(typo)).toThrow("FakeKinesis: there is no option 'stream'");
  await expect(startEmulator(typo)).rejects.toThrow("startEmulator: there is no option 'stream'");
});
