import { letterAt, sendLetters } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { startFront } from "@kc-internal/test-services";
import { expect, inject, onTestFinished, test } from "vitest";
import { S3DeadLetterQueue, type S3DeadLetterQueueOptions } from "../src/index.ts";
import { connect, openBucket, type TestBucket } from "./support/bucket.ts";

function queueOn(
  bucket: TestBucket,
  options: Partial<S3DeadLetterQueueOptions> = {},
): S3DeadLetterQueue {
  const client = connect();
  onTestFinished(() => client.destroy());
  return new S3DeadLetterQueue({ bucket: bucket.name, client, ...options });
}

test("a key names application, stream, hour and time of the record's arrival, and the letter", async () => {
  const bucket = await openBucket();
  const letter = letterAt(1, {
    application: "orders/eu west",
    approximateArrivalTimestamp: new Date("2026-11-28T09:00:00.000Z"),
  });
  await sendLetters(queueOn(bucket), [letter]);
  expect(await bucket.keys()).toEqual([
    `dead-letters/orders%2Feu%20west/orders/2026/11/28/09/2026-11-28T09:00:00.000Z-${letter.id}.json`,
  ]);
  const [text = ""] = await bucket.texts();
  expect(decodeDeadLetter(text)).toEqual(letter);
});

test("a letter that another process sends again, with another failure, overwrites the first", async () => {
  const bucket = await openBucket();
  const again = letterAt(1, {
    attempts: 5,
    firstFailedAt: new Date("2026-11-28T11:00:00.000Z"),
    error: { name: "Error", message: "another one" },
  });
  await sendLetters(queueOn(bucket), [letterAt(1)]);
  await sendLetters(queueOn(bucket), [again]);
  expect((await bucket.texts()).map(decodeDeadLetter)).toEqual([again]);
});

test("an application's letters of a stream are listed in the order of the records' arrival", async () => {
  const bucket = await openBucket();
  const letters = [5, 1, 3, 0, 2, 4].map((hours) =>
    letterAt(hours, {
      approximateArrivalTimestamp: new Date(Date.UTC(2026, 10, 28, 20 + hours)),
    }),
  );
  await sendLetters(queueOn(bucket), letters);
  const { letters: listed } = await queueOn(bucket).list();
  expect(listed.map(({ approximateArrivalTimestamp }) => approximateArrivalTimestamp)).toEqual(
    letters.map((letter) => letter.approximateArrivalTimestamp).toSorted((a, b) => +a - +b),
  );
});

test("the longest names have a key, and their letters are listed by them", async () => {
  const bucket = await openBucket();
  const application = "\u{1f98a}".repeat(127);
  const letter = letterAt(1, { application, streamName: "s".repeat(128) });
  const queue = queueOn(bucket, { prefix: `${"p".repeat(299)}/` });
  await sendLetters(queue, [letter]);
  const [key = ""] = await bucket.keys();
  expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1024);
  expect((await queue.list({ application })).letters).toEqual([letter]);
});

test("another's objects under the prefix are no letters", async () => {
  const bucket = await openBucket();
  await bucket.put("dead-letters/billing/README.md", "not ours");
  const queue = queueOn(bucket);
  await sendLetters(queue, [letterAt(1)]);
  expect((await queue.list()).letters).toEqual([letterAt(1)]);
  await queue.remove([letterAt(1).id]);
  expect(await bucket.keys()).toEqual(["dead-letters/billing/README.md"]);
});

test("a damaged letter is named by its key", async () => {
  const bucket = await openBucket();
  const key = `dead-letters/billing/orders/2026/11/28/09/x-${letterAt(1).id}.json`;
  await bucket.put(key, '{"id":"');
  const queue = queueOn(bucket);
  const damaged = { code: "DEAD_LETTERS_CORRUPT", message: expect.stringContaining(key) };
  await expect(queue.list()).rejects.toMatchObject(damaged);
  await expect(queue.get(letterAt(1).id)).rejects.toMatchObject(damaged);
});

test("a letter that was listed is found and removed without another listing", async () => {
  const front = await startFront(inject("sqsS3"));
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const queue = queueOn(await openBucket(), { client });
  await sendLetters(queue, [letterAt(1), letterAt(2)]);
  const listings = (): number => front.requests.filter(({ url }) => /list-type/.test(url)).length;
  await queue.list();
  await queue.get(letterAt(1).id);
  await queue.remove([letterAt(1).id, letterAt(2).id]);
  expect(await queue.get(letterAt(1).id)).toBeUndefined();
  expect(listings()).toBe(1);
});

test("settings of PutObject go with each letter", async () => {
  const front = await startFront(inject("sqsS3"));
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const put = { ServerSideEncryption: "aws:kms", SSEKMSKeyId: "key-1" } as const;
  await sendLetters(queueOn(await openBucket(), { client, put }), [letterAt(1)]);
  expect(front.requests[0]?.headers).toMatchObject({
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    "content-type": "application/json",
  });
});
