import { letterAt, sendLetters } from "@kc/conformance";
import { createHash } from "node:crypto";
import { ListQueuesCommand } from "@aws-sdk/client-sqs";
import { decodeDeadLetter } from "@kc/core";
import { startFront, type Front, type FrontAnswer } from "@kc-internal/test-services";
import { deadLetterFailureTests } from "@kc-internal/test-services/dead-letter-failures";
import { expect, inject, onTestFinished, test } from "vitest";
import { SqsDeadLetterQueue } from "../src/index.ts";
import { connect, openQueue, type TestQueue } from "./support/queue.ts";

interface Batch {
  readonly Entries: readonly { readonly Id: string; readonly MessageBody: string }[];
}

async function openBehindFront(
  options: { readonly isFifo?: boolean; readonly timeoutMs?: number } = {},
): Promise<{
  readonly front: Front;
  readonly sqs: TestQueue;
  readonly queue: SqsDeadLetterQueue;
  /** The letters of each request. */
  readonly sent: () => readonly (readonly string[])[];
}> {
  const front = await startFront(inject("sqsS3"));
  const sqs = await openQueue(options);
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const { timeoutMs = 5000 } = options;
  const queue = new SqsDeadLetterQueue({ queueUrl: sqs.url, client, timeoutMs });
  const sent = (): readonly (readonly string[])[] =>
    front.requests.map(({ body }) =>
      batchOf(body).Entries.map(({ MessageBody }) => decodeDeadLetter(MessageBody).id),
    );
  return { front, sqs, queue, sent };
}

function batchOf(body: Buffer): Batch {
  return JSON.parse(body.toString()) as Batch;
}

function refusal(status: number, error: string, message = "planted"): FrontAnswer {
  return {
    status,
    headers: { "content-type": "application/x-amz-json-1.0" },
    body: JSON.stringify({ __type: `com.amazonaws.sqs#${error}`, message }),
  };
}

/** The answer to a batch of which some messages were not taken. */
function partial(body: Buffer, failed: Readonly<Record<string, object>>): FrontAnswer {
  const { Entries } = batchOf(body);
  const Successful = Entries.filter(({ Id }) => failed[Id] === undefined).map((entry) => ({
    Id: entry.Id,
    MessageId: entry.Id,
    MD5OfMessageBody: createHash("md5").update(entry.MessageBody).digest("hex"),
  }));
  const Failed = Object.entries(failed).map(([Id, entry]) => ({ Id, ...entry }));
  return {
    status: 200,
    headers: { "content-type": "application/x-amz-json-1.0" },
    body: JSON.stringify({ Successful, Failed }),
  };
}

const letters = [letterAt(0), letterAt(1), letterAt(2)];
const ids = letters.map(({ id }) => id);

test("messages that were not taken are sent again alone", async () => {
  const { front, queue, sent } = await openBehindFront();
  front.answer = ({ body }) => {
    if (front.requests.length > 1) return undefined;
    return partial(body, { 1: { Code: "InternalError", SenderFault: false } });
  };
  await sendLetters(queue, letters);
  expect(sent()).toEqual([ids, [ids[1]]]);
});

test("a message that the answer does not name was not taken", async () => {
  const { front, queue, sent } = await openBehindFront();
  front.answer = ({ body }) => {
    if (front.requests.length > 1) return undefined;
    const whole = partial(body, {}) as { readonly status: number; readonly body: string };
    const answer = JSON.parse(whole.body) as { readonly Successful: readonly unknown[] };
    return { ...whole, body: JSON.stringify({ Successful: answer.Successful.slice(0, 2) }) };
  };
  await sendLetters(queue, letters);
  expect(sent()).toEqual([ids, [ids[2]]]);
});

test("messages that are not taken again and again reject the call with an error that passes", async () => {
  const { front, queue, sent } = await openBehindFront();
  front.answer = ({ body }) =>
    partial(body, { 0: { Code: "InternalError", Message: "planted", SenderFault: false } });
  await expect(sendLetters(queue, letters)).rejects.toMatchObject({
    code: "DEAD_LETTERS_UNAVAILABLE",
    retryable: true,
    message: expect.stringContaining("InternalError: planted"),
  });
  expect(sent()).toHaveLength(5);
});

test("a message that is longer than the queue takes, whatever the option says, goes as a pointer", async () => {
  const sqs = await openQueue({ maxMessageBytes: 2048 });
  const client = connect();
  onTestFinished(() => client.destroy());
  const queue = new SqsDeadLetterQueue({ queueUrl: sqs.url, client });
  const large = letterAt(1, { data: new Uint8Array(2048) });
  await sendLetters(queue, [letterAt(0), large]);
  const held = (await sqs.messages()).map(({ Body = "" }) => decodeDeadLetter(Body));
  expect(held).toEqual([letterAt(0), { ...large, data: undefined }]);
});

test("a pointer that is longer than the queue takes is refused", async () => {
  const { front, queue, sent } = await openBehindFront();
  const Message = "Reason: Message must be shorter than 1024 bytes.";
  front.answer = ({ body }) =>
    partial(body, { 0: { Code: "InvalidParameterValue", Message, SenderFault: true } });
  await expect(sendLetters(queue, [letterAt(0)])).rejects.toMatchObject({
    code: "DEAD_LETTERS_REFUSED",
    message: expect.stringContaining(Message),
  });
  expect(sent()).toHaveLength(2);
});

deadLetterFailureTests({
  async open(timeoutMs = 5000) {
    const { front, queue } = await openBehindFront({ timeoutMs });
    return { front, send: (signal) => sendLetters(queue, letters, signal) };
  },
  refusal,
  refusals: [
    [400, "RequestThrottled", "DEAD_LETTERS_UNAVAILABLE", "throttles"],
    [400, "ThrottlingException", "DEAD_LETTERS_UNAVAILABLE", "throttles"],
    [400, "KmsThrottled", "DEAD_LETTERS_UNAVAILABLE", "throttles"],
    [500, "InternalFailure", "DEAD_LETTERS_UNAVAILABLE", "cannot be reached, or fails"],
    [400, "AccessDeniedException", "DEAD_LETTERS_REFUSED", "lack sqs:SendMessage"],
    [403, "InvalidClientTokenId", "DEAD_LETTERS_REFUSED", "lack sqs:SendMessage"],
    [400, "KmsAccessDenied", "DEAD_LETTERS_REFUSED", "kms:GenerateDataKey"],
    [400, "QueueDeletedRecently", "DEAD_LETTERS_REFUSED", "there is no such queue"],
  ],
});

test("a queue that is not there is named", async () => {
  const client = connect();
  onTestFinished(() => client.destroy());
  const queueUrl = `${inject("sqsS3").endpoint}/000000000000/nobody-made-it`;
  const queue = new SqsDeadLetterQueue({ queueUrl, client });
  const error = await sendLetters(queue, letters).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "DEAD_LETTERS_REFUSED", retryable: false });
  expect(String(error)).toContain(`${queueUrl}: there is no such queue in this account and Region`);
});

test("letters whose acknowledgement was lost come again: a FIFO queue holds each once", async () => {
  for (const [isFifo, times] of [
    [true, 1],
    [false, 2],
  ] as const) {
    const { front, sqs, queue } = await openBehindFront({ isFifo });
    front.answer = () => (front.requests.length === 1 ? "lost-reply" : undefined);
    await expect(sendLetters(queue, letters)).rejects.toMatchObject({ retryable: true });
    await sendLetters(queue, letters);
    expect(await sqs.messages()).toHaveLength(times * letters.length);
  }
});

test("close ends calls under way, and leaves a client that was handed in alone", async () => {
  const front = await startFront(inject("sqsS3"));
  const sqs = await openQueue();
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const queue = new SqsDeadLetterQueue({ queueUrl: sqs.url, client });
  front.answer = () => "silence";
  const call = sendLetters(queue, letters);
  await queue.close();
  await expect(call).rejects.toMatchObject({ code: "DEAD_LETTERS_CLOSED", retryable: false });
  front.answer = () => undefined;
  await expect(client.send(new ListQueuesCommand({}))).resolves.toBeDefined();
});
