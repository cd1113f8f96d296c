import { deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { SqsDeadLetterQueue } from "../src/index.ts";
import { connect, TestQueue } from "./support/queue.ts";

/** What a letter's members and attributes take at most in this suite. */
const BESIDE_DATA = 2048;

async function harness(isFifo: boolean): Promise<DeadLetterHarness> {
  const proxy = await startProxy(inject("sqsS3"));
  const admin = connect();
  const queue = await TestQueue.create(admin, { isFifo });
  const closers: (() => unknown)[] = [];
  return {
    keepsRepeats: !isFifo,
    maxDataBytes: ((1_048_576 - BESIDE_DATA) / 4) * 3,
    async open() {
      const client = connect(proxy);
      const letters = new SqsDeadLetterQueue({ queueUrl: queue.url, client, timeoutMs: 5000 });
      closers.push(
        () => letters.close(),
        () => client.destroy(),
      );
      return letters;
    },
    letters: async () => (await queue.messages()).map(({ Body = "" }) => decodeDeadLetter(Body)),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      await queue.drop();
      admin.destroy();
      await proxy.close();
    },
  };
}

deadLetterConformance("SQS", () => harness(false));
deadLetterConformance("SQS, a FIFO queue", () => harness(true));
