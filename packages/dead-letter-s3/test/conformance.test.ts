import { deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { S3DeadLetterQueue } from "../src/index.ts";
import { connect, TestBucket } from "./support/bucket.ts";

async function harness(): Promise<DeadLetterHarness> {
  const proxy = await startProxy(inject("sqsS3"));
  const admin = connect();
  const bucket = await TestBucket.create(admin);
  const closers: (() => unknown)[] = [];
  return {
    async open() {
      const client = connect(proxy);
      const queue = new S3DeadLetterQueue({ bucket: bucket.name, client });
      closers.push(
        () => queue.close(),
        () => client.destroy(),
      );
      return queue;
    },
    letters: async () => (await bucket.texts()).map(decodeDeadLetter),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      admin.destroy();
      await proxy.close();
    },
  };
}

deadLetterConformance("S3", harness);
