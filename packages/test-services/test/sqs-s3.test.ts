import { CreateBucketCommand, HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateQueueCommand,
  ListQueuesCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { expect, inject, onTestFinished, test } from "vitest";
import { type SqsS3Address, startSqsS3 } from "../src/index.ts";

const settings = {
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
  maxAttempts: 1,
};

function sqsOf({ endpoint }: SqsS3Address): SQSClient {
  const client = new SQSClient({ ...settings, endpoint });
  onTestFinished(() => client.destroy());
  return client;
}

test("the shared SQS refuses what the real one refuses: a batch above 1 MiB in all", async () => {
  const client = sqsOf(inject("sqsS3"));
  const queue = await client.send(new CreateQueueCommand({ QueueName: "of-this-file" }));
  const send = (bytes: number): Promise<unknown> =>
    client.send(
      new SendMessageBatchCommand({
        QueueUrl: queue.QueueUrl,
        Entries: ["a", "b"].map((Id) => ({ Id, MessageBody: "x".repeat(bytes / 2) })),
      }),
    );
  await send(2 ** 20);
  await expect(send(2 ** 20 + 2)).rejects.toMatchObject({ name: "BatchRequestTooLong" });
});

test("the shared S3 has the buckets that were made, and no other", async () => {
  const client = new S3Client({
    ...settings,
    endpoint: inject("sqsS3").endpoint,
    forcePathStyle: true,
  });
  onTestFinished(() => client.destroy());
  await client.send(new CreateBucketCommand({ Bucket: "of-this-file" }));
  await client.send(new HeadBucketCommand({ Bucket: "of-this-file" }));
  const other = client.send(new HeadBucketCommand({ Bucket: "of-another" }));
  await expect(other).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
});

test("killed and restarted, it serves at the same port", async () => {
  await using server = await startSqsS3();
  await server.kill();
  await expect(sqsOf(server).send(new ListQueuesCommand({}))).rejects.toThrow("ECONNREFUSED");
  await server.restart();
  await sqsOf(server).send(new ListQueuesCommand({}));
});
