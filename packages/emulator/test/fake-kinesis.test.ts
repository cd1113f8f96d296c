import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  InvalidArgumentException,
  KinesisClient,
  KinesisServiceException,
  ProvisionedThroughputExceededException,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-kinesis";
import { describe, expect, expectTypeOf, it } from "vitest";
import { FakeClock, FakeKinesis, type FakeKinesisOptions } from "../src/index.ts";

const SHARD = "shardId-000000000000";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function setup(options: Omit<FakeKinesisOptions, "clock"> = {}) {
  const clock = new FakeClock();
  const kinesis = new FakeKinesis({ clock, streams: { s: 1 }, ...options });
  const put = (text: string) =>
    kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data: bytes(text) }));
  const iterator = async (input: Partial<GetShardIteratorCommandInput> = {}) => {
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: "s",
        ShardId: SHARD,
        ShardIteratorType: "TRIM_HORIZON",
        ...input,
      }),
    );
    return ShardIterator;
  };
  const read = (ShardIterator: string | undefined, Limit?: number) =>
    kinesis.send(new GetRecordsCommand({ ShardIterator, Limit }));
  return { clock, kinesis, put, iterator, read };
}

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
    const settled = expect(reply).rejects.toMatchObject({ name: "AbortError" });
    await clock.settle();
    controller.abort();
    await settled;
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("reading", () => {
  it("pages by Limit and says how far behind each page is", async () => {
    const { clock, put, iterator, read } = setup();
    for (const text of ["a", "b", "c"]) {
      await put(text);
      await clock.advance(1000);
    }
    const first = await read(await iterator(), 2);
    expect(first.Records).toHaveLength(2);
    expect(first.MillisBehindLatest).toBe(1000);
    const second = await read(first.NextShardIterator, 2);
    expect(second.Records).toHaveLength(1);
    expect(second.MillisBehindLatest).toBe(0);
  });

  it("ends a page at 10 MiB", async () => {
    const { kinesis, iterator, read } = setup({ quotas: false });
    const Data = new Uint8Array(1024 * 1024 - 1);
    for (let i = 0; i < 11; i++) {
      await kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    }
    const first = await read(await iterator());
    expect(first.Records).toHaveLength(10);
    expect(first.MillisBehindLatest).toBeGreaterThan(0);
    const second = await read(first.NextShardIterator);
    expect(second.Records).toHaveLength(1);
  });

  it("expires an iterator after five minutes", async () => {
    const { clock, iterator, read } = setup();
    const early = await iterator();
    await clock.advance(300_000);
    await read(early);
    await clock.advance(1);
    await expect(read(early)).rejects.toThrow(ExpiredIteratorException);
  });

  it("forgets records when retention is over", async () => {
    const { clock, put, iterator, read } = setup();
    const old = await put("old");
    await clock.advance(12 * 3_600_000);
    await put("young");
    await clock.advance(12 * 3_600_000 + 1);
    const page = await read(await iterator());
    expect(page.Records?.map((record) => record.Data)).toEqual([bytes("young")]);
    const after = await iterator({
      ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber: old.SequenceNumber,
    });
    expect((await read(after)).Records).toHaveLength(1);
  });

  it("rejects a trimmed sequence number where that is wanted", async () => {
    const { clock, put, iterator } = setup({ trimmedSequenceNumbers: "reject" });
    const old = await put("old");
    await clock.advance(24 * 3_600_000 + 1);
    await expect(
      iterator({
        ShardIteratorType: "AT_SEQUENCE_NUMBER",
        StartingSequenceNumber: old.SequenceNumber,
      }),
    ).rejects.toThrow(InvalidArgumentException);
  });

  it("tells a sequence number of a stream that was deleted and made anew", async () => {
    const { kinesis, put, iterator, read } = setup();
    const { SequenceNumber } = await put("a");
    const old = await iterator();
    await kinesis.send(new DeleteStreamCommand({ StreamName: "s" }));
    await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    await expect(
      iterator({
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: SequenceNumber,
      }),
    ).rejects.toThrow("because it did not come from this stream");
    await expect(read(old)).rejects.toThrow(ResourceNotFoundException);
  });

  it("makes tiny and empty pages where they are wanted", async () => {
    const { put, iterator, read } = setup({
      maxRecordsPerPage: 1,
      emptyPagesWhileBehind: 2,
      quotas: false,
    });
    await put("a");
    await put("b");
    const sizes: (number | undefined)[] = [];
    let next = await iterator();
    for (let page = 0; page < 7; page++) {
      const reply = await read(next);
      sizes.push(reply.Records?.length);
      next = reply.NextShardIterator;
    }
    expect(sizes).toEqual([0, 0, 1, 0, 0, 1, 0]);
  });

  it("is not disturbed when the machine's wall clock jumps", async () => {
    const { clock, put, iterator, read } = setup();
    await put("a");
    const early = await iterator();
    clock.jumpWall(48 * 3_600_000);
    expect((await read(early)).Records).toHaveLength(1);
  });
});

describe("transitions", () => {
  it("last as long as they are told to", async () => {
    const { clock, kinesis } = setup({ transitionMs: 500, streams: {} });
    const status = async () => {
      const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
      return (await kinesis.send(command)).StreamDescriptionSummary?.StreamStatus;
    };
    await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    expect(await status()).toBe("CREATING");
    await expect(kinesis.send(new DeleteStreamCommand({ StreamName: "s" }))).rejects.toMatchObject({
      name: "ResourceInUseException",
    });
    await clock.advance(500);
    expect(await status()).toBe("ACTIVE");
    await kinesis.send(new DeleteStreamCommand({ StreamName: "s" }));
    expect(await status()).toBe("DELETING");
    await clock.advance(500);
    await expect(status()).rejects.toThrow(ResourceNotFoundException);
  });
});

describe("quotas", () => {
  it("admit five GetRecords a second, and one more after 200 ms", async () => {
    const { clock, iterator, read } = setup();
    const at = await iterator();
    for (let i = 0; i < 5; i++) await read(at);
    await expect(read(at)).rejects.toThrow(ProvisionedThroughputExceededException);
    await clock.advance(199);
    await expect(read(at)).rejects.toThrow(`Rate exceeded for shard ${SHARD} in stream s`);
    await clock.advance(1);
    await read(at);
  });

  it("block a shard for five seconds after a reply of 10 MiB", async () => {
    const { clock, kinesis, iterator, read } = setup({ quotas: { writes: false } });
    const Data = new Uint8Array(1024 * 1024 - 1);
    for (let i = 0; i < 10; i++) {
      await kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    }
    const first = await read(await iterator());
    expect(first.Records).toHaveLength(10);
    await clock.advance(4999);
    await expect(read(first.NextShardIterator)).rejects.toThrow("Rate exceeded");
    await clock.advance(1);
    await read(first.NextShardIterator);
  });

  it("fail single records of a PutRecords beyond 1,000 a second", async () => {
    const { clock, kinesis } = setup();
    const Records = Array.from({ length: 400 }, () => ({ PartitionKey: "k", Data: bytes("x") }));
    const command = new PutRecordsCommand({ StreamName: "s", Records });
    await kinesis.send(command);
    await kinesis.send(command);
    const third = await kinesis.send(command);
    expect(third.FailedRecordCount).toBe(200);
    expect(third.Records?.[199]).toMatchObject({ ShardId: SHARD });
    expect(third.Records?.[200]).toEqual({
      ErrorCode: "ProvisionedThroughputExceededException",
      ErrorMessage: `Rate exceeded for shard ${SHARD} in stream s under account 000000000000.`,
    });
    await clock.advance(1000);
    expect((await kinesis.send(command)).FailedRecordCount).toBe(0);
  });

  it("admit five GetShardIterator a second", async () => {
    const { iterator } = setup();
    for (let i = 0; i < 5; i++) await iterator();
    await expect(iterator()).rejects.toThrow(ProvisionedThroughputExceededException);
  });

  it("can be switched off", async () => {
    const { iterator, read } = setup({ quotas: false });
    const at = await iterator();
    for (let i = 0; i < 50; i++) await read(at);
  });
});

describe("faults", () => {
  it("befall the call that they are planned for", async () => {
    const { kinesis, iterator, read } = setup();
    kinesis.faults.fail({
      operation: "GetRecords",
      error: "KMSAccessDeniedException",
      call: 2,
      times: 2,
    });
    const at = await iterator();
    await read(at);
    for (let i = 0; i < 2; i++) {
      await expect(read(at)).rejects.toMatchObject({
        name: "KMSAccessDeniedException",
        $metadata: { httpStatusCode: 400 },
      });
    }
    await read(at);
  });

  it("befall only inputs that match, until they are taken back", async () => {
    const { kinesis, iterator } = setup({ streams: { s: 2 } });
    const error = new Error("credentials are gone");
    const takeBack = kinesis.faults.fail({
      where: (input) => input["ShardId"] === "shardId-000000000001",
      times: Infinity,
      error,
    });
    await iterator();
    await expect(iterator({ ShardId: "shardId-000000000001" })).rejects.toBe(error);
    takeBack();
    await iterator({ ShardId: "shardId-000000000001" });
  });

  it("drop connections, answer with 5xx, and delay by the clock", async () => {
    const { clock, kinesis } = setup();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    kinesis.faults.drop();
    await expect(kinesis.send(command)).rejects.toMatchObject({ code: "ECONNRESET" });

    kinesis.faults.htmlError({ status: 502 });
    const error = await kinesis.send(command).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KinesisServiceException);
    expect(error).toMatchObject({ $fault: "server", $metadata: { httpStatusCode: 502 } });

    kinesis.faults.delay({ ms: 5000 });
    let replied = false;
    const reply = kinesis.send(command).then(() => (replied = true));
    await clock.advance(4999);
    expect(replied).toBe(false);
    await clock.advance(1);
    expect(await reply).toBe(true);
  });

  it("are refused when they could never happen", () => {
    const { faults } = new FakeKinesis();
    expect(() => faults.fail({ call: 0, error: "InternalFailure" })).toThrow(RangeError);
    expect(() => faults.htmlError({ status: 404 })).toThrow(RangeError);
    // @ts-expect-error a name that the service does not use
    expect(() => faults.fail({ error: "NoSuchException" })).toThrow(TypeError);
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
    const { kinesis } = setup();
    const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
    for (let i = 0; i < 2500; i++) await kinesis.send(command);
    expect(kinesis.calls.length).toBeLessThanOrEqual(2000);
    expect(kinesis.countOf("DescribeStreamSummary")).toBe(2500);
  });
});

it.each([
  { transitionMs: -1 },
  { maxRecordsPerPage: 0 },
  { emptyPagesWhileBehind: 1.5 },
  { account: "1" },
  { streams: { s: 0 } },
] satisfies FakeKinesisOptions[])("refuses the options %j", (options) => {
  expect(() => new FakeKinesis(options)).toThrow(RangeError);
});
