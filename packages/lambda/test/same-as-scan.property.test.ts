import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import {
  Consumer,
  MemoryDeadLetterQueue,
  type BatchHandler,
  type Handler,
  type HandlerContext,
} from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { toLambdaBatchHandler, toLambdaHandler } from "../src/index.ts";
import { eventOf, lines } from "./support/events.ts";

const { logger } = lines();

const stories = fc.record({
  /** The key of each record, and how often it fails. */
  records: fc.array(
    fc.record({ key: fc.constantFrom("a", "b", "c"), failures: fc.constantFrom(0, 0, 1, 2, 9) }),
    { minLength: 1, maxLength: 20 },
  ),
  concurrency: fc.constantFrom(1, 2, 5),
  ordering: fc.constantFrom("key", "none"),
  attempts: fc.constantFrom(1, 3),
  batches: fc.boolean(),
  bisect: fc.boolean(),
  takesMs: fc.array(fc.constantFrom(0, 3, 50), { minLength: 20, maxLength: 20 }),
});

test("what the handler is called with, and what becomes letters, is the same as in a scan", async () => {
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      const { records, concurrency, ordering, takesMs } = story;
      // Which of two waits that end together is first is not said, and makes other batches.
      const maxAttempts = story.batches ? 1 : story.attempts;
      const lanes = new Map<string, Set<number>>();
      for (const [at, { key }] of records.entries()) {
        const lane = ordering === "none" ? `${at}` : concurrency === 1 ? "" : key;
        lanes.set(lane, (lanes.get(lane) ?? new Set()).add(at));
      }
      const puts = records.map(({ key }, at) => ({ key, data: `${at}` }));

      /** One run's clock, handlers, and what came of it. */
      function course(onDone: () => void) {
        const clock = new FakeClock();
        const queue = new MemoryDeadLetterQueue();
        const calls: string[] = [];
        let left = records.length;
        const call = async (texts: readonly string[], { attempt }: HandlerContext) => {
          calls.push(`${texts.join()}:${attempt} at ${clock.monotonic()}`);
          const ms = takesMs[Number(texts[0])]!;
          if (ms > 0) await new Promise<void>((resolve) => void clock.setTimer(resolve, ms));
          if (texts.some((text) => records[Number(text)]!.failures >= attempt)) {
            throw new Error("no");
          }
        };
        const over = (count: number): void => {
          left -= count;
          if (left === 0) onDone();
        };
        const handler: Handler = async (record, context) => {
          await call([record.text()], context);
          over(1);
        };
        const batchHandler: BatchHandler = async (batch, context) => {
          await call(
            batch.map((record) => record.text()),
            context,
          );
          over(batch.length);
        };
        const send = queue.send.bind(queue);
        queue.send = async (letters, options) => {
          await send(letters, options);
          over(letters.length);
        };
        const delivery = {
          concurrency,
          ordering,
          retry: { maxAttempts, minDelayMs: 20, maxDelayMs: 200 },
          onFailure: queue,
        };
        const batching = { ...delivery, maxRecords: 4, bisect: story.bisect };
        return { clock, queue, calls, handler, batchHandler, delivery, batching };
      }
      const random = (): number => 0.5;

      // The scan begins when its records are there; the calls of Kinesis take no time here.
      const stop = new AbortController();
      const scanned = course(() => stop.abort());
      const client = new FakeKinesis({ clock: scanned.clock, streams: { orders: 1 } });
      const Records = puts.map(({ key, data }) => ({ PartitionKey: key, Data: Buffer.from(data) }));
      await client.send(new PutRecordsCommand({ StreamName: "orders", Records }));
      const { clock } = scanned;
      const consumer = new Consumer({
        stream: "orders",
        client,
        clock,
        random,
        start: "TRIM_HORIZON",
        scanIntervalMs: 60_000,
      });
      const { signal } = stop;
      const scan = story.batches
        ? consumer.scanBatch(scanned.batchHandler, { ...scanned.batching, signal })
        : consumer.scan(scanned.handler, { ...scanned.delivery, signal });
      await clock.advance(20_000);
      await scan;

      const invoked = course(() => {});
      const own = { clock: invoked.clock, random, logger, application: "default" };
      const lambda = story.batches
        ? toLambdaBatchHandler(invoked.batchHandler, { ...invoked.batching, ...own })
        : toLambdaHandler(invoked.handler, { ...invoked.delivery, ...own });
      const answer = lambda(eventOf(puts));
      await invoked.clock.advance(20_000);
      expect(await answer).toEqual({ batchItemFailures: [] });

      if (maxAttempts === 1) expect(invoked.calls).toEqual(scanned.calls);
      for (const [lane, indices] of lanes) {
        const of = (calls: readonly string[]): readonly string[] =>
          calls.map((call) => call.split(" ")[0]!).filter((call) => indices.has(parseInt(call)));
        expect(of(invoked.calls), lane).toEqual(of(scanned.calls));
      }
      const lettersOf = async (queue: MemoryDeadLetterQueue): Promise<unknown> =>
        (await queue.list()).letters
          .map(({ data, attempts, reason }) => [Buffer.from(data!).toString(), attempts, reason])
          .toSorted();
      expect(await lettersOf(invoked.queue)).toEqual(await lettersOf(scanned.queue));
    }),
    { numRuns: 60 },
  );
});
