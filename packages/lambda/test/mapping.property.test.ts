import fc from "fast-check";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { toLambdaBatchHandler, toLambdaHandler, type LambdaHandler } from "../src/index.ts";
import { contextOf, eventOf, lines, numberOf } from "./support/events.ts";

const { logger } = lines();
const TIMEOUT_MS = 20_000;

const stories = fc.record({
  keys: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 30 }),
  concurrency: fc.constantFrom(1, 2, 8),
  attempts: fc.constantFrom(1, 3),
  batches: fc.boolean(),
  /** How often each record fails, over all invocations, and how long a call takes. */
  failures: fc.infiniteStream(fc.constantFrom(0, 0, 0, 1, 2, 5)),
  takesMs: fc.infiniteStream(fc.constantFrom(0, 1, 300, 4000)),
});

test("a mapping that sends again what was reported brings every record to the handler, each key in order", async () => {
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      const { keys, concurrency, attempts, batches, failures, takesMs } = story;
      const clock = new FakeClock();
      const left = keys.map(() => failures.next().value);
      const done: number[] = [];
      let running = 0;
      /** One record's work. True = it failed. */
      const handle = async (index: number): Promise<boolean> => {
        running += 1;
        expect(running).toBeLessThanOrEqual(batches ? Infinity : concurrency);
        const ms = takesMs.next().value;
        if (ms > 0) await new Promise<void>((resolve) => void clock.setTimer(resolve, ms));
        running -= 1;
        if (left[index]! > 0) {
          left[index]! -= 1;
          return true;
        }
        done.push(index);
        return false;
      };
      const options = {
        clock,
        logger,
        concurrency,
        retry: { maxAttempts: attempts, minDelayMs: 10, maxDelayMs: 50 },
      };
      const lambda: LambdaHandler = batches
        ? toLambdaBatchHandler(
            async (records) => {
              // It stops at the first failure, and names what it has not done.
              for (const [at, record] of records.entries()) {
                if (!(await handle(Number(record.text())))) continue;
                const undone = records.slice(at).map(({ sequenceNumber }) => sequenceNumber);
                return { batchItemFailures: undone.map((itemIdentifier) => ({ itemIdentifier })) };
              }
              return undefined;
            },
            { ...options, maxRecords: 4 },
          )
        : toLambdaHandler(async (record) => {
            if (await handle(Number(record.text()))) throw new Error("no");
          }, options);

      for (let first = 0, invocations = 0; first < keys.length; invocations += 1) {
        expect(invocations).toBeLessThan(300);
        const puts = keys.slice(first).map((key, at) => ({ key: `${key}`, data: `${first + at}` }));
        const answer = lambda(eventOf(puts, first), contextOf(clock, TIMEOUT_MS));
        await clock.advance(TIMEOUT_MS);
        const [failed] = (await answer).batchItemFailures;
        const next = failed && keys.findIndex((_, at) => numberOf(at) === failed.itemIdentifier);
        // All before what is reported is done.
        const before = keys.slice(0, next ?? keys.length).map((_, at) => at);
        for (const index of before) expect(done).toContain(index);
        first = next ?? keys.length;
      }
      // At first delivery each key, or with one at a time the shard, is in order.
      const firsts = [...new Set(done)];
      const lanes =
        concurrency === 1
          ? [firsts]
          : [0, 1, 2, 3, 4].map((key) => firsts.filter((at) => keys[at] === key));
      for (const lane of lanes) expect(lane).toEqual(lane.toSorted((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});
