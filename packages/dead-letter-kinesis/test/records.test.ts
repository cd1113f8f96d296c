import { letterAt, sendLetters } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { describe, expect, it } from "vitest";
import { KinesisDeadLetterQueue, type KinesisDeadLetterQueueOptions } from "../src/index.ts";
import { recordsOf } from "./support/streams.ts";

const kinesisWith = (streams: Readonly<Record<string, number>>): FakeKinesis =>
  new FakeKinesis({ streams, quotas: false });

function queueOn(
  client: KinesisDeadLetterQueueOptions["client"] & object,
  options: Partial<KinesisDeadLetterQueueOptions> = {},
): KinesisDeadLetterQueue {
  return new KinesisDeadLetterQueue({ stream: "letters", client, ...options });
}

describe("a record", () => {
  it("has the failed record's partition key, or its shard's id where it had none", async () => {
    const kinesis = kinesisWith({ letters: 1 });
    const { partitionKey: _, ...keyless } = letterAt(2);
    await sendLetters(queueOn(kinesis), [letterAt(1), keyless]);
    const records = await recordsOf(kinesis, "letters");
    expect(records.map(({ PartitionKey }) => PartitionKey)).toEqual([
      "customer-1",
      "shardId-000000000007",
    ]);
  });

  it("is a pointer where the letter is longer than the stream takes", async () => {
    const kinesis = kinesisWith({ letters: 1 });
    const large = letterAt(1, { data: new Uint8Array(16_384) });
    await sendLetters(queueOn(kinesis, { maxRecordBytes: 16_384 }), [large, letterAt(2)]);
    const records = await recordsOf(kinesis, "letters");
    const letters = records.map(({ Data }) => decodeDeadLetter(new TextDecoder().decode(Data)));
    expect(letters).toEqual([{ ...large, data: undefined }, letterAt(2)]);
  });
});

describe("failures", () => {
  /** Kinesis, by which some records of a request are refused. */
  function refusing(
    kinesis: FakeKinesis,
    isRefused: (call: number, index: number) => string | undefined,
  ): { readonly client: KinesisDeadLetterQueueOptions["client"] & object; sizes: number[] } {
    const sizes: number[] = [];
    const client = {
      async send(command: never) {
        const { input } = command as { readonly input: { readonly Records: readonly unknown[] } };
        const call = sizes.push(input.Records.length);
        const taken = input.Records.filter((_, index) => isRefused(call, index) === undefined);
        if (taken.length > 0) {
          const { PutRecordsCommand } = await import("@aws-sdk/client-kinesis");
          await kinesis.send(new PutRecordsCommand({ ...input, Records: taken as never }));
        }
        return {
          FailedRecordCount: input.Records.length - taken.length,
          Records: input.Records.map((_, index) => {
            const ErrorCode = isRefused(call, index);
            return ErrorCode === undefined
              ? { SequenceNumber: "1", ShardId: "shardId-000000000000" }
              : { ErrorCode, ErrorMessage: "planted" };
          }),
        };
      },
    };
    return { client, sizes };
  }

  it("of single records: these are sent again alone", async () => {
    const kinesis = kinesisWith({ letters: 1 });
    const { client, sizes } = refusing(kinesis, (call, index) =>
      call === 1 && index === 1 ? "ProvisionedThroughputExceededException" : undefined,
    );
    await sendLetters(queueOn(client), [letterAt(0), letterAt(1), letterAt(2)]);
    expect(sizes).toEqual([3, 1]);
    expect(await recordsOf(kinesis, "letters")).toHaveLength(3);
  });

  it("of single records, again and again: the call rejects with an error that passes", async () => {
    const { client, sizes } = refusing(kinesisWith({ letters: 1 }), (_, index) =>
      index === 0 ? "ProvisionedThroughputExceededException" : undefined,
    );
    await expect(sendLetters(queueOn(client), [letterAt(0), letterAt(1)])).rejects.toMatchObject({
      code: "DEAD_LETTERS_UNAVAILABLE",
      retryable: true,
      message: expect.stringContaining("the service throttles (ProvisionedThroughputExceeded"),
    });
    expect(sizes).toEqual([2, 1, 1, 1, 1, 1, 1, 1]);
  });

  it.each([
    ["LimitExceededException", "DEAD_LETTERS_UNAVAILABLE", "throttles"],
    ["InternalFailure", "DEAD_LETTERS_UNAVAILABLE", "cannot be reached, or fails"],
    ["AccessDeniedException", "DEAD_LETTERS_REFUSED", "lack kinesis:PutRecords"],
    ["KMSDisabledException", "DEAD_LETTERS_REFUSED", "kms:GenerateDataKey"],
  ] as const)("by %s are %s: %s", async (error, code, text) => {
    const kinesis = kinesisWith({ letters: 1 });
    kinesis.faults.fail({ operation: "PutRecords", error });
    await expect(sendLetters(queueOn(kinesis), [letterAt(1)])).rejects.toMatchObject({
      code,
      retryable: code === "DEAD_LETTERS_UNAVAILABLE",
      message: expect.stringContaining(text),
    });
  });

  it("of a stream that is not there name it", async () => {
    await expect(
      sendLetters(queueOn(kinesisWith({ other: 1 })), [letterAt(1)]),
    ).rejects.toMatchObject({
      code: "DEAD_LETTERS_REFUSED",
      message: expect.stringContaining("Kinesis stream letters: there is no such stream"),
    });
  });

  it("end a call that is never answered by its time, or before by the signal", async () => {
    const kinesis = kinesisWith({ letters: 1 });
    kinesis.faults.hang({ operation: "PutRecords", times: 2 });
    await expect(
      sendLetters(queueOn(kinesis, { timeoutMs: 100 }), [letterAt(1)]),
    ).rejects.toMatchObject({
      code: "DEAD_LETTERS_UNAVAILABLE",
      retryable: true,
    });
    const stop = new AbortController();
    const call = sendLetters(queueOn(kinesis, { timeoutMs: 600_000 }), [letterAt(1)], stop.signal);
    stop.abort(new Error("the shard stops"));
    await expect(call).rejects.toThrow("the shard stops");
  });
});

describe("letters of the very stream that they would go to", () => {
  const arn = "arn:aws:kinesis:eu-west-1:111122223333:stream/orders";

  it.each([
    ["orders", {}],
    [arn, {}],
    [arn, { streamARN: arn }],
    ["orders", { streamARN: arn }],
  ])("are refused: %s, %o", async (stream, own) => {
    const kinesis = kinesisWith({ orders: 1 });
    await expect(
      sendLetters(queueOn(kinesis, { stream }), [letterAt(1, own)]),
    ).rejects.toMatchObject({
      code: "DEAD_LETTERS_REFUSED",
      message: expect.stringContaining("this very stream"),
    });
    expect(kinesis.countOf("PutRecords")).toBe(0);
  });
});

describe("new KinesisDeadLetterQueue", () => {
  it.each([
    ["stream", {}, "a stream's name or its ARN"],
    ["stream", { stream: "letters/2" }, "not letters/2"],
    ["stream", { stream: "arn:aws:sqs:eu-west-1:111122223333:letters" }, "its ARN"],
    ["client", { stream: "letters", client: {} }, "a KinesisClient"],
    ["maxRecordBytes", { stream: "letters", maxRecordBytes: 1 }, "16384 to 10485760"],
    ["timeoutMs", { stream: "letters", timeoutMs: 1 }, "100 to 600000"],
    ["streamName", { streamName: "letters" }, "did you mean stream?"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    expect(() => Reflect.construct(KinesisDeadLetterQueue, [options])).toThrow(
      expect.objectContaining({ option, message: expect.stringContaining(text) }),
    );
  });
});
