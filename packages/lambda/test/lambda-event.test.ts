import { MemoryDeadLetterQueue } from "@kc/core";
import { FakeClock } from "@kc/emulator";
import type {
  Context,
  KinesisStreamEvent,
  KinesisStreamHandler,
  KinesisStreamBatchResponse,
} from "aws-lambda";
import { expect, test } from "vitest";
import {
  toLambdaBatchHandler,
  toLambdaHandler,
  type KinesisEvent,
  type LambdaContext,
} from "../src/index.ts";
import { eventOf, failuresAt, lines, STREAM_ARN, texts } from "./support/events.ts";

const { logger } = lines();

/** What the compiler has to accept. Never called. */
export function typed(event: KinesisStreamEvent, context: Context): unknown {
  const ofRecords: KinesisStreamHandler = toLambdaHandler(async (record) => record.text());
  const ofBatches: KinesisStreamHandler = toLambdaBatchHandler(async (records) => records.length);
  const ours: KinesisEvent = event;
  const time: LambdaContext = context;
  const answer: Promise<KinesisStreamBatchResponse> = toLambdaHandler(() => {})(event, context);
  const decode = (): { total: number } => ({ total: 1 });
  toLambdaHandler(({ value }) => value.total.toFixed(), { decode });
  toLambdaBatchHandler((records) => records.map(({ value }) => value.total), { decode });
  // @ts-expect-error an invocation has no signal
  toLambdaHandler(() => {}, { signal: new AbortController().signal });
  // @ts-expect-error an event is whole when it comes
  toLambdaBatchHandler(() => {}, { maxWaitMs: 1000 });
  return [ofRecords, ofBatches, ours, time, answer];
}

test("an event without records is done: a tumbling window's last one", async () => {
  const lambda = toLambdaHandler(() => {
    throw new Error("never called");
  });
  const event = { Records: [], isFinalInvokeForWindow: true, state: {}, window: {} };
  expect(await lambda(event)).toEqual({ batchItemFailures: [] });
});

test("each shard of an event has its own order, and its own first failed record", async () => {
  const given: string[] = [];
  const lambda = toLambdaHandler(
    (record) => {
      given.push(`${record.text()} of ${record.shardId.at(-1)}`);
      if (record.text() === "b" || record.text() === "f") throw new Error("no");
    },
    { logger },
  );
  const puts = ["a", "b", "c", "d", "e", "f"].map((data, at) => ({
    data,
    shardId: `shardId-00000000000${at % 3}`,
  }));
  expect(await lambda(eventOf(puts))).toEqual(failuresAt(1, 5));
  expect(given.toSorted()).toEqual(["a of 0", "b of 1", "c of 2", "d of 0", "f of 2"]);
});

test("two streams with the same shard id are two shards", async () => {
  const queue = new MemoryDeadLetterQueue();
  const lambda = toLambdaHandler(
    () => {
      throw new Error("no");
    },
    { logger, application: "billing", onFailure: queue },
  );
  const returns = "arn:aws:kinesis:eu-west-1:111122223333:stream/returns";
  await lambda(eventOf([{ data: "a" }, { data: "b", streamARN: returns }]));
  const { letters } = await queue.list();
  expect(letters.map(({ streamName }) => streamName).toSorted()).toEqual(["orders", "returns"]);
});

test("with enhanced fan-out the stream is the consumer's", async () => {
  const queue = new MemoryDeadLetterQueue();
  const lambda = toLambdaHandler(
    () => {
      throw new Error("no");
    },
    { logger, application: "billing", onFailure: queue },
  );
  const streamARN = `${STREAM_ARN}/consumer/fast:1767225600`;
  await lambda(eventOf([{ data: "a", streamARN }]));
  const { letters } = await queue.list();
  expect(letters).toMatchObject([{ streamName: "orders", streamARN: STREAM_ARN }]);
});

const [whole] = eventOf(texts("a")).Records;

test.for<[string, unknown]>([
  ["nothing", undefined],
  ["null", null],
  ["an empty object", {}],
  ["no list", { Records: "none" }],
  ["a message of SQS", { Records: [{ messageId: "1", body: "secret" }] }],
  ["null for a record", { Records: [null] }],
  ["another source", { Records: [{ ...whole, eventSourceARN: "arn:aws:sqs:eu-west-1:1:q" }] }],
  ["no source", { Records: [{ ...whole, eventSourceARN: undefined }] }],
  ["no shard", { Records: [{ ...whole, eventID: "secret" }] }],
  ["no number", { Records: [{ ...whole, kinesis: { ...whole!.kinesis, sequenceNumber: "x" } }] }],
  ["no data", { Records: [{ ...whole, kinesis: { ...whole!.kinesis, data: undefined } }] }],
  [
    "no arrival",
    { Records: [{ ...whole, kinesis: { ...whole!.kinesis, approximateArrivalTimestamp: "x" } }] },
  ],
])("what is no event of Kinesis is refused, and not quoted: %s", async ([, event]) => {
  const lambda = toLambdaHandler(() => {
    throw new Error("never called");
  });
  const refused = lambda(event as KinesisEvent);
  await expect(refused).rejects.toMatchObject({ code: "CONFIG_INVALID", option: "event" });
  await expect(refused).rejects.not.toThrow("secret");
});

test("a fault that is no record's is thrown when the handlers of the other shards have returned", async () => {
  const clock = new FakeClock();
  let running = 0;
  const lambda = toLambdaHandler(
    async (record) => {
      if (record.text() === "bad") throw new Error("no");
      running += 1;
      await new Promise<void>((resolve) => void clock.setTimer(resolve, 100));
      running -= 1;
    },
    { clock, logger, retry: { maxAttempts: 2, shouldRetry: () => "x" as never } },
  );
  const other = { data: "x", shardId: "shardId-000000000007" };
  const answer = lambda(eventOf([{ data: "bad" }, other, other])).catch((error: unknown) => {
    return { error, running };
  });
  await clock.advance(1000);
  expect(await answer).toMatchObject({ error: { option: "retry.shouldRetry" }, running: 0 });
});

test("records are reported by their place, whatever their numbers", async () => {
  const calls: string[] = [];
  const event = eventOf(texts("bad", "a"));
  const lambda = toLambdaHandler(
    (record) => {
      calls.push(record.text());
      if (record.text() === "bad") throw new Error("no");
    },
    { logger },
  );
  expect(await lambda({ Records: event.Records.toReversed() })).toEqual(failuresAt(0));
  expect(calls).toEqual(["a", "bad"]);
});
