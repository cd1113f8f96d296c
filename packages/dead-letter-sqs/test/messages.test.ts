import { letterAt, sendLetters } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { expect, onTestFinished, test } from "vitest";
import { SqsDeadLetterQueue, type SqsDeadLetterQueueOptions } from "../src/index.ts";
import { connect, openQueue } from "./support/queue.ts";

function queueAt(
  queueUrl: string,
  options: Partial<SqsDeadLetterQueueOptions> = {},
): SqsDeadLetterQueue {
  const client = connect();
  onTestFinished(() => client.destroy());
  return new SqsDeadLetterQueue({ queueUrl, client, ...options });
}

test("a message's attributes say whose letter it is, and why", async () => {
  const sqs = await openQueue();
  const letter = letterAt(1, { application: "bi\u0001lling" });
  await sendLetters(queueAt(sqs.url), [letter]);
  const [message] = await sqs.messages();
  const attributes = Object.entries(message?.MessageAttributes ?? {});
  expect(
    Object.fromEntries(attributes.map(([name, { StringValue }]) => [name, StringValue])),
  ).toEqual({
    id: letter.id,
    streamName: "orders",
    application: "bi\ufffdlling",
    shardId: "shardId-000000000007",
    reason: "attempts",
  });
  expect(decodeDeadLetter(message?.Body ?? "")).toEqual(letter);
});

test("in a FIFO queue the shard is the group, and the id the deduplication id", async () => {
  const sqs = await openQueue({ isFifo: true });
  const letters = [letterAt(1), letterAt(2, { streamName: "s".repeat(128) })];
  await sendLetters(queueAt(sqs.url), letters);
  await sendLetters(queueAt(sqs.url), letters);
  const messages = await sqs.messages();
  const attributes = messages.map((message) => message.Attributes);
  expect(attributes.map((each) => each?.MessageDeduplicationId)).toEqual(
    letters.map(({ id }) => id),
  );
  expect(attributes.map((each) => each?.MessageGroupId)).toEqual([
    "orders/shardId-000000000007",
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
});

test("a message is as long as its queue takes, and a longer letter goes as a pointer", async () => {
  const sqs = await openQueue({ maxMessageBytes: 20_000 });
  const queue = queueAt(sqs.url, { maxMessageBytes: 20_000 });
  const sizes = Array.from({ length: 40 }, (_, index) => 14_000 + index * 20);
  const letters = sizes.map((size, index) => letterAt(index, { data: new Uint8Array(size) }));
  await sendLetters(queue, letters);
  const held = (await sqs.messages()).map(({ Body = "" }) => decodeDeadLetter(Body));
  const lengths = held.map(({ data }) => data?.length);
  const whole = lengths.indexOf(undefined);
  expect(whole).toBeGreaterThan(0);
  expect(lengths).toEqual(sizes.map((size, index) => (index < whole ? size : undefined)));
  expect(held.map(({ id }) => id)).toEqual(letters.map(({ id }) => id));
});

test("the longest pointer fits into the shortest message that can be set", async () => {
  const sqs = await openQueue({ maxMessageBytes: 16_384 });
  const longest = letterAt(1, {
    streamARN: `arn:aws:kinesis:eu-central-1:111122223333:stream/${"s".repeat(128)}`,
    streamName: "s".repeat(128),
    application: "\u2028".repeat(255),
    partitionKey: "\u{1f98a}".repeat(256),
    data: new Uint8Array(16_384),
    error: { name: "E".repeat(1024), message: '"'.repeat(1024), code: "C".repeat(80) },
  });
  await sendLetters(queueAt(sqs.url, { maxMessageBytes: 16_384 }), [longest]);
  const [message] = await sqs.messages();
  expect(decodeDeadLetter(message?.Body ?? "")).toEqual({ ...longest, data: undefined });
});
