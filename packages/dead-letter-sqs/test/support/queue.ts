import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
  SQSClient,
  type Message,
} from "@aws-sdk/client-sqs";
import type { Address } from "@kc-internal/test-services";
import { inject, onTestFinished } from "vitest";

export function connect({ host, port }: Address = inject("sqsS3")): SQSClient {
  return new SQSClient({
    endpoint: `http://${host}:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
  });
}

/** A queue and everything that it was ever sent. */
export class TestQueue {
  readonly url: string;
  readonly #admin: SQSClient;
  readonly #received: Message[] = [];

  constructor(admin: SQSClient, url: string) {
    this.#admin = admin;
    this.url = url;
  }

  static async create(
    admin: SQSClient,
    { isFifo = false, maxMessageBytes = 1_048_576 } = {},
  ): Promise<TestQueue> {
    const { QueueUrl } = await admin.send(
      new CreateQueueCommand({
        QueueName: `${randomUUID()}${isFifo ? ".fifo" : ""}`,
        Attributes: {
          MaximumMessageSize: String(maxMessageBytes),
          ...(isFifo && { FifoQueue: "true" }),
        },
      }),
    );
    return new TestQueue(admin, QueueUrl!);
  }

  /** Takes out what is there, in batches, until nothing is left. */
  async messages(): Promise<readonly Message[]> {
    for (;;) {
      const { Messages = [] } = await this.#admin.send(
        new ReceiveMessageCommand({
          QueueUrl: this.url,
          MaxNumberOfMessages: 10,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["All"],
        }),
      );
      if (Messages.length === 0) return this.#received;
      this.#received.push(...Messages);
      const Entries = Messages.map(({ ReceiptHandle }, id) => ({ Id: String(id), ReceiptHandle }));
      await this.#admin.send(new DeleteMessageBatchCommand({ QueueUrl: this.url, Entries }));
    }
  }

  async drop(): Promise<void> {
    await this.#admin.send(new DeleteQueueCommand({ QueueUrl: this.url }));
  }
}

/** A queue of the test's own, which is gone with it. */
export async function openQueue(
  options: { readonly isFifo?: boolean; readonly maxMessageBytes?: number } = {},
): Promise<TestQueue> {
  const admin = connect();
  const queue = await TestQueue.create(admin, options);
  onTestFinished(async () => {
    await queue.drop();
    admin.destroy();
  });
  return queue;
}
