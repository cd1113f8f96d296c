import { letterAt, sendLetters } from "@kc/conformance";
import { startFront, type Front, type FrontAnswer } from "@kc-internal/test-services";
import { deadLetterFailureTests } from "@kc-internal/test-services/dead-letter-failures";
import { expect, inject, onTestFinished, test } from "vitest";
import { S3DeadLetterQueue } from "../src/index.ts";
import { connect, openBucket, type TestBucket } from "./support/bucket.ts";

async function openBehindFront(timeoutMs = 5000): Promise<{
  readonly front: Front;
  readonly bucket: TestBucket;
  readonly queue: S3DeadLetterQueue;
}> {
  const front = await startFront(inject("sqsS3"));
  const bucket = await openBucket();
  const client = connect(front);
  onTestFinished(async () => {
    client.destroy();
    await front[Symbol.asyncDispose]();
  });
  const queue = new S3DeadLetterQueue({ bucket: bucket.name, client, timeoutMs });
  return { front, bucket, queue };
}

function refusal(status: number, code: string): FrontAnswer {
  return {
    status,
    headers: { "content-type": "application/xml" },
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>planted</Message></Error>`,
  };
}

const letters = Array.from({ length: 20 }, (_, index) => letterAt(index));

deadLetterFailureTests({
  async open(timeoutMs = 5000) {
    const { front, queue } = await openBehindFront(timeoutMs);
    return { front, send: (signal) => sendLetters(queue, letters, signal) };
  },
  refusal,
  refusals: [
    [503, "SlowDown", "DEAD_LETTERS_UNAVAILABLE", "throttles"],
    [500, "InternalError", "DEAD_LETTERS_UNAVAILABLE", "cannot be reached, or fails"],
    [409, "OperationAborted", "DEAD_LETTERS_UNAVAILABLE", "another write"],
    [403, "AccessDenied", "DEAD_LETTERS_REFUSED", "s3:PutObject on"],
    [403, "SignatureDoesNotMatch", "DEAD_LETTERS_REFUSED", "the credentials are wrong"],
    [400, "AuthorizationHeaderMalformed", "DEAD_LETTERS_REFUSED", "another Region"],
    [301, "PermanentRedirect", "DEAD_LETTERS_REFUSED", "another Region"],
    [400, "KMS.DisabledException", "DEAD_LETTERS_REFUSED", "kms:GenerateDataKey"],
  ],
});

test("a bucket that is not there is named", async () => {
  const client = connect();
  onTestFinished(() => client.destroy());
  const queue = new S3DeadLetterQueue({ bucket: "nobody-made-it", client });
  const missing = {
    code: "DEAD_LETTERS_REFUSED",
    message: expect.stringContaining("S3 bucket nobody-made-it: there is no such bucket"),
  };
  await expect(sendLetters(queue, letters)).rejects.toMatchObject(missing);
  await expect(queue.list()).rejects.toMatchObject(missing);
});

test("after a failure no other letter is begun, and the same letters are held once afterwards", async () => {
  const { front, bucket, queue } = await openBehindFront();
  front.answer = () => (front.requests.length === 3 ? refusal(503, "SlowDown") : undefined);
  await expect(sendLetters(queue, letters)).rejects.toMatchObject({ retryable: true });
  const begun = front.requests.length;
  expect(begun).toBeLessThan(letters.length);
  await sendLetters(queue, letters);
  expect(front.requests).toHaveLength(begun + letters.length);
  expect(await bucket.keys()).toHaveLength(letters.length);
});

test("letters that cannot be removed reject the call with what S3 said of the first", async () => {
  const { front, queue } = await openBehindFront();
  await sendLetters(queue, letters);
  front.answer = ({ method, url }) =>
    method === "POST" && url.includes("delete")
      ? {
          status: 200,
          headers: { "content-type": "application/xml" },
          body: "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>planted</Message></Error></DeleteResult>",
        }
      : undefined;
  await expect(queue.remove([letterAt(1).id])).rejects.toMatchObject({
    code: "DEAD_LETTERS_REFUSED",
    message: expect.stringContaining("s3:DeleteObject"),
  });
});
