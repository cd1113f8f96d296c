import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer, decodeDeadLetter, MemoryStore } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startFront } from "@kc-internal/test-services";
import { expect, inject, onTestFinished, test } from "vitest";
import { SqsDeadLetterQueue } from "../src/index.ts";
import { connect, openQueue } from "./support/queue.ts";

test("a record that is given up is done when SQS has its letter, and not before", async () => {
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  await kinesis.send(
    new PutRecordsCommand({
      StreamName: "orders",
      Records: ["first", "bad", "last"].map((text) => ({
        PartitionKey: "customer-7",
        Data: Buffer.from(text),
      })),
    }),
  );
  const sqs = await openQueue();
  const front = await startFront(inject("sqsS3"));
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const course: string[] = [];
  front.answer = () => {
    const isRefused = front.requests.length <= 2;
    course.push(isRefused ? "refused" : "taken");
    if (!isRefused) return undefined;
    const body = JSON.stringify({ __type: "com.amazonaws.sqs#AccessDeniedException" });
    return { status: 403, headers: { "content-type": "application/x-amz-json-1.0" }, body };
  };

  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    store: new MemoryStore(),
    client: kinesis,
    start: "TRIM_HORIZON",
  });
  const stop = new AbortController();
  await using queue = new SqsDeadLetterQueue({ queueUrl: sqs.url, client });
  await consumer.scan(
    (record) => {
      const text = record.text();
      course.push(text);
      if (text === "bad") throw new TypeError("no such customer");
      if (text === "last") stop.abort();
    },
    { signal: stop.signal, onFailure: queue },
  );

  expect(course).toEqual(["first", "bad", "refused", "refused", "taken", "last"]);
  const [message] = await sqs.messages();
  expect(decodeDeadLetter(message?.Body ?? "")).toMatchObject({
    application: "billing",
    partitionKey: "customer-7",
    data: new TextEncoder().encode("bad"),
    attempts: 1,
    reason: "attempts",
    error: { name: "TypeError", message: "no such customer" },
  });
});
