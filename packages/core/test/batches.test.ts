import fc from "fast-check";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  MemoryDeadLetterQueue,
  MemoryStore,
  NonRetriableError,
  RetryAfterError,
  SkipCheckpoint,
  type BatchHandler,
  type BatchOptions,
  type Consumer,
  type ConsumerRecord,
  type DeadLetter,
} from "../src/index.ts";
import { STREAM, World, type AnyOptions } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };

const textsOf = (records: readonly ConsumerRecord[]): string =>
  records.map((record) => record.text()).join(" ");

async function storedIn(store: MemoryStore): Promise<unknown> {
  return (await store.getCheckpoints(SCOPE)).get(SHARD);
}

interface BatchRun {
  readonly world: World;
  readonly store: MemoryStore;
  readonly consumer: Consumer;
  /** Each call, as `texts:attempt`. */
  readonly calls: string[];
  error(): unknown;
  stop(): Promise<void>;
}

/** Puts `key:text` records first, then scans in batches. */
async function batched(
  puts: readonly string[],
  handler: BatchHandler,
  options: BatchOptions = {},
  own: AnyOptions = {},
): Promise<BatchRun & { readonly numbers: readonly string[] }> {
  const world = await World.of();
  const numbers: string[] = [];
  for (const put of puts) {
    const [key, text] = put.split(":");
    numbers.push(...(await world.put(key!, text ?? key!)));
  }
  const store = new MemoryStore();
  const calls: string[] = [];
  const consumer = world.consumer({ store, start: "TRIM_HORIZON", ...own });
  const run = await world.runBatches(
    consumer,
    (records, context) => {
      calls.push(`${textsOf(records)}:${context.attempt}`);
      return handler(records, context);
    },
    options,
  );
  return {
    world,
    store,
    consumer,
    calls,
    numbers,
    error: () => run.error,
    stop: () => run.stop(),
  };
}

const failuresOf = (records: readonly ConsumerRecord[], ...texts: string[]): unknown => ({
  batchItemFailures: records
    .filter((record) => texts.includes(record.text()))
    .map(({ sequenceNumber }) => ({ itemIdentifier: sequenceNumber })),
});

const ONE_TO_FIVE = ["a:1", "b:2", "a:3", "b:4", "a:5"];

test("a batch has what there is, at most maxRecords, and what is done is checkpointed", async () => {
  const run = await batched(ONE_TO_FIVE, () => {}, { maxRecords: 2 });
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["1 2:1", "3 4:1", "5:1"]);
  await run.stop();
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers.at(-1) });
  expect(run.world.counter.total("records")).toBe(5);
});

test("a batch has at most maxBytes, and a larger record is one of its own", async () => {
  const run = await batched(["a:11", "a:22", "a:333333", "a:4", "a:5"], () => {}, { maxBytes: 4 });
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["11 22:1", "333333:1", "4 5:1"]);
});

test("maxWaitMs: a batch waits for more, over pages, and no longer than its first record may", async () => {
  const run = await batched(["a:1"], () => {}, { maxWaitMs: 3000, maxRecords: 3 });
  await run.world.clock.advance(1000);
  await run.world.put("a", "2");
  await run.world.clock.advance(1500);
  expect(run.calls).toEqual([]);
  expect(run.consumer.status().shards[0]).toMatchObject({ recordsInFlight: 2 });
  await run.world.clock.advance(600);
  expect(run.calls).toEqual(["1 2:1"]);
  await run.world.put("a", "3", "4", "5");
  await run.world.clock.advance(600);
  expect(run.calls, "a full one does not wait").toEqual(["1 2:1", "3 4 5:1"]);
});

test("maxWaitMs: what waits while another batch is handled does not wait again", async () => {
  const handler: BatchHandler = async () => sleep(run.world.clock, 5000);
  const run = await batched(["a:1"], (...given) => handler(...given), { maxWaitMs: 3000 });
  await run.world.clock.advance(4000);
  expect(run.calls).toEqual(["1:1"]);
  await run.world.put("a", "2");
  await run.world.clock.advance(4900);
  expect(run.calls).toEqual(["1:1", "2:1"]);
});

test("the end of a shard delivers what waits for more", async () => {
  const run = await batched(["a:1", "a:2"], () => {}, { maxWaitMs: 1_000_000 });
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual([]);
  await run.world.split(SHARD);
  await run.world.clock.advance(10_000);
  expect(run.calls).toEqual(["1 2:1"]);
  expect(await storedIn(run.store)).toMatchObject({ kind: "shard-end" });
});

test("at a stop what waits for more is dropped, and comes again", async () => {
  const run = await batched(["a:1", "a:2"], () => {}, { maxWaitMs: 1_000_000 });
  await run.world.clock.advance(1000);
  await run.stop();
  expect(run.calls).toEqual([]);
  expect(run.error()).toBeUndefined();
  expect(await storedIn(run.store)).toBeUndefined();
});

test("a handler that throws ends the scan, and nothing of its batch is done", async () => {
  const run = await batched(
    ["a:1", "a:2", "a:3"],
    (records) => {
      if (textsOf(records).includes("3")) throw undefined;
    },
    { maxRecords: 2 },
  );
  await run.world.clock.advance(1000);
  expect(run.error()).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers[1] });
});

test("a batch that fails is tried again as a whole, and nothing behind it starts meanwhile", async () => {
  const run = await batched(
    ["a:1", "a:2", "a:3"],
    async (records, { attempt }) => {
      if (textsOf(records) === "1 2" && attempt < 3) throw Object.freeze(new Error("no"));
    },
    { maxRecords: 2, retry: { maxAttempts: 3, minDelayMs: 1000, factor: 1 } },
  );
  await run.world.clock.advance(1500);
  expect(run.calls).toEqual(["1 2:1", "1 2:2"]);
  expect(run.consumer.status().shards[0]).toMatchObject({
    state: "retrying",
    keysHeldUp: 1,
    retry: { attempt: 3 },
  });
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["1 2:1", "1 2:2", "1 2:3", "3:1"]);
  expect(run.consumer.status().shards[0]).toMatchObject({ keysHeldUp: 0, recordsInFlight: 0 });
  expect(run.world.counter.total("handler_attempts")).toBe(2);
});

test("bisect: a batch that throws is halved until the failing record stands alone, and is given up", async () => {
  const run = await batched(
    ["a:1", "a:2", "a:bad", "a:4", "a:5"],
    (records) => {
      if (textsOf(records).includes("bad")) throw new Error("no");
    },
    { bisect: true, onFailure: "skip" },
  );
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 2 bad 4 5:1", "1 2 bad:1", "1 2:1", "bad:1", "4 5:1"]);
  await run.stop();
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers.at(-1) });
  expect(run.world.counter.total("records_given_up")).toBe(1);
  expect(run.world.counter.total("records")).toBe(5);
});

test("bisect: the record that stands alone has its attempts, and a RetryAfterError splits nothing", async () => {
  const run = await batched(
    ["a:1", "a:bad"],
    (records, { attempt }) => {
      if (records.length === 2 && attempt === 1) throw new RetryAfterError(5000);
      if (textsOf(records).includes("bad")) throw new Error("no");
    },
    { bisect: true, onFailure: "skip", retry: { maxAttempts: 2, minDelayMs: 100, factor: 1 } },
  );
  await run.world.clock.advance(4900);
  expect(run.calls).toEqual(["1 bad:1"]);
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["1 bad:1", "1 bad:2", "1:2", "bad:2"]);
});

test("a partial answer: by shard, everything from the first failed record on comes again", async () => {
  const run = await batched(
    ONE_TO_FIVE,
    (records, { attempt }) => (attempt === 1 ? failuresOf(records, "3") : undefined),
    { retry: { minDelayMs: 100 } },
  );
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["1 2 3 4 5:1", "3 4 5:2"]);
});

test("a partial answer: by key, the failed records and the later ones of their keys come again", async () => {
  const run = await batched(
    ONE_TO_FIVE,
    async (records, { attempt }) => (attempt === 1 ? failuresOf(records, "3") : undefined),
    { concurrency: 2, retry: { minDelayMs: 1000, factor: 1 } },
  );
  await run.world.clock.advance(500);
  await run.world.put("b", "6");
  await run.world.put("a", "7");
  await run.world.clock.advance(5000);
  expect(run.calls).toEqual(["1 2 3 4 5:1", "6:1", "3 5:2", "7:1"]);
});

test("a partial answer: in no order, the failed records alone come again", async () => {
  const run = await batched(
    ONE_TO_FIVE,
    (records, { attempt }) => (attempt === 1 ? failuresOf(records, "1", "3") : undefined),
    { ordering: "none", retry: { minDelayMs: 100 } },
  );
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["1 2 3 4 5:1", "1 3:2"]);
});

test("a failed record that is given up leaves those behind it their own attempts", async () => {
  const data = new Map<string, DeadLetter>();
  const run = await batched(["a:1", "a:bad", "a:3"], (records) => failuresOf(records, "bad"), {
    onFailure: new MemoryDeadLetterQueue({ data }),
  });
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 bad 3:1", "3:1"]);
  expect([...data.values()]).toMatchObject([
    { sequenceNumber: run.numbers[1], attempts: 1, reason: "attempts" },
  ]);
  await run.stop();
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers.at(-1) });
});

test.each([
  ["an identifier that names no record", { batchItemFailures: [{ itemIdentifier: "7" }] }],
  ["an empty identifier", { batchItemFailures: [{ itemIdentifier: "" }] }],
  ["no list", { batchItemFailures: true }],
])("an answer with %s fails the whole batch", async (_, answer) => {
  const run = await batched(["a:1", "a:2"], () => answer);
  await run.world.clock.advance(1000);
  expect(run.error()).toMatchObject({ cause: { name: "BatchAnswerError" } });
  expect(await storedIn(run.store)).toBeUndefined();
});

test.each([[1], ["text"], [[true, false]], [{ ok: 1 }], [null]])(
  "an answer of %j means that all are done",
  async (answer) => {
    const run = await batched(["a:1", "a:2"], async () => answer);
    await run.world.clock.advance(1000);
    await run.stop();
    expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers[1] });
  },
);

test("SkipCheckpoint: the batch is handled, and a later one covers it", async () => {
  const run = await batched(["a:1", "a:2"], () => SkipCheckpoint);
  await run.world.clock.advance(1000);
  await run.stop();
  expect(run.calls).toEqual(["1 2:1"]);
  expect(await storedIn(run.store)).toBeUndefined();
});

test("a NonRetriableError gives the whole batch up at once, each record with a letter of its own", async () => {
  const data = new Map<string, DeadLetter>();
  const run = await batched(
    ["a:1", "a:2"],
    () => {
      throw new NonRetriableError("no");
    },
    { retry: { maxAttempts: 5 }, onFailure: new MemoryDeadLetterQueue({ data }) },
  );
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 2:1"]);
  expect([...data.values()].map(({ reason }) => reason)).toEqual([
    "non-retriable",
    "non-retriable",
  ]);
});

test("records that do not decode, or are too old, are given up; the others of their batch are handled", async () => {
  const data = new Map<string, DeadLetter>();
  const values: unknown[] = [];
  const run = await batched(
    ["a:1", "a:two", "a:3"],
    (records) => void values.push(...records.map(({ value }) => value)),
    {
      decode: (record) => record.json(),
      onFailure: new MemoryDeadLetterQueue({ data }),
    },
  );
  await run.world.clock.advance(1000);
  // Without a concurrency a shard is one lane: what comes later waits for the letter.
  expect(run.calls).toEqual(["1:1", "3:1"]);
  expect(values).toEqual([1, 3]);
  expect([...data.values()]).toMatchObject([{ reason: "undecodable" }]);
  await run.stop();
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers[2] });
});

test("a record that is given up before the handler saw it holds up the later ones of its key, until its letter is acknowledged", async () => {
  let acknowledge = (): void => {};
  const run = await batched(
    ["a:1", "a:two", "b:3", "a:4", "b:5"],
    (records) => failuresOf(records, "3"),
    {
      concurrency: 2,
      decode: (record) => record.json(),
      retry: { maxAttempts: 2, minDelayMs: 5000, factor: 1 },
      onFailure: {
        send: () => new Promise((resolve) => (acknowledge = resolve)),
        close: async () => {},
      },
    },
  );
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 3 5:1"]);
  expect(run.consumer.status().shards[0]).toMatchObject({ keysHeldUp: 2 });
  acknowledge();
  await run.world.clock.advance(1000);
  expect(run.calls, "the others of the batch, in a retry, hold it up no longer").toEqual([
    "1 3 5:1",
    "4:1",
  ]);
  await run.world.clock.advance(5000);
  acknowledge();
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 3 5:1", "4:1", "3 5:2", "5:1"]);
  await run.stop();
  expect(await storedIn(run.store)).toMatchObject({ sequenceNumber: run.numbers.at(-1) });
});

test("bisect: the second half waits for all of the first, the record that is given up meanwhile included", async () => {
  let acknowledge = (): void => {};
  let decoded = 0;
  const run = await batched(
    ["a:1", "a:2", "a:3", "a:4"],
    (records) => {
      if (records.length === 4) throw new Error("too many");
    },
    {
      bisect: true,
      decode: (record) => {
        if (record.text() === "2" && (decoded += 1) === 2) throw new Error("no");
      },
      onFailure: {
        send: () => new Promise((resolve) => (acknowledge = resolve)),
        close: async () => {},
      },
    },
  );
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 2 3 4:1", "1:1"]);
  acknowledge();
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 2 3 4:1", "1:1", "3 4:1"]);
});

test("records that are too old are given up before the handler sees them", async () => {
  const world = await World.of();
  await world.put("a", "old");
  await world.clock.advance(60_000);
  await world.put("a", "new");
  const calls: string[] = [];
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  await world.runBatches(consumer, (records) => void calls.push(textsOf(records)), {
    maxRecordAgeMs: 30_000,
    onFailure: "skip",
  });
  await world.clock.advance(1000);
  expect(calls).toEqual(["new"]);
});

test("an async schema ends the scan, whatever onFailure is", async () => {
  const run = await batched(["a:1"], () => {}, {
    decode: async () => 1,
    onFailure: "skip",
  } as unknown as BatchOptions);
  await run.world.clock.advance(1000);
  expect(run.error()).toMatchObject({ code: "CONFIG_INVALID", option: "decode" });
});

test("a batch that takes longer than handlerTimeoutMs has failed, and its signal aborts", async () => {
  const reasons: unknown[] = [];
  const run = await batched(
    ["a:1"],
    async (_records, { signal, attempt }) => {
      if (attempt > 1) return;
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => {
          reasons.push(signal.reason);
          resolve();
        });
      });
    },
    { handlerTimeoutMs: 1000, retry: { minDelayMs: 100 } },
  );
  await run.world.clock.advance(3000);
  expect(run.calls).toEqual(["1:1", "1:2"]);
  expect(reasons).toMatchObject([{ name: "HandlerTimeoutError" }]);
});

test("a held key keeps others waiting neither for it nor for a full batch", async () => {
  const run = await batched(
    ["hot:h1", ...Array.from({ length: 40 }, (_, n) => `hot:x${n}`), "cold:c1"],
    async (records) => {
      if (textsOf(records) === "h1") throw new Error("no");
    },
    { concurrency: 2, maxRecords: 1, retry: { maxAttempts: 2, minDelayMs: 100_000 } },
  );
  await run.world.clock.advance(2000);
  expect(run.calls).toEqual(["h1:1"]);
  expect(run.consumer.status().shards[0]).toMatchObject({ state: "retrying", keysHeldUp: 1 });
});

test("any keys, limits and failures: each key in order, in one batch at a time, and all done", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.nat({ max: 4 }), fails: fc.nat({ max: 2 }) }), {
        minLength: 1,
        maxLength: 30,
      }),
      fc.record({
        concurrency: fc.integer({ min: 1, max: 4 }),
        maxRecords: fc.integer({ min: 2, max: 8 }),
        ordering: fc.constantFrom("key" as const, "none" as const),
        bisect: fc.boolean(),
        partial: fc.boolean(),
      }),
      async (puts, { partial, ...limits }) => {
        const world = await World.of();
        const store = new MemoryStore();
        for (const [index, { key }] of puts.entries()) await world.put(`k${key}`, String(index));
        const left = puts.map(({ fails }) => fails);
        const done: ConsumerRecord[] = [];
        const isByShard = limits.concurrency === 1 && limits.ordering === "key";
        const lineOf = ({ partitionKey, sequenceNumber }: ConsumerRecord): string =>
          limits.ordering === "none" ? sequenceNumber : isByShard ? "" : partitionKey!;
        const inHand = new Set<string>();
        let running = 0;
        const handler: BatchHandler = async (records) => {
          running += 1;
          expect(running).toBeLessThanOrEqual(limits.concurrency);
          expect(records.length).toBeLessThanOrEqual(limits.maxRecords);
          const keys = new Set(records.map(({ partitionKey }) => partitionKey!));
          if (limits.ordering === "key") {
            for (const key of keys) expect(inHand).not.toContain(key);
            for (const key of keys) inHand.add(key);
          }
          await sleep(world.clock, 10);
          for (const key of keys) inHand.delete(key);
          running -= 1;
          const failing = records.filter((record) => left[Number(record.text())]! > 0);
          for (const record of failing) left[Number(record.text())]! -= 1;
          if (failing.length > 0 && !partial) throw new Error("no");
          const failedLines = new Set<string>();
          for (const record of records) {
            const line = lineOf(record);
            if (failing.includes(record)) failedLines.add(line);
            else if (!failedLines.has(line)) done.push(record);
          }
          return failuresOf(records, ...failing.map((record) => record.text()));
        };
        const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
        const retry = { maxAttempts: 1000, minDelayMs: 5, factor: 1 };
        const run = await world.runBatches(consumer, handler, { ...limits, retry });
        await world.clock.advance(60_000);
        await run.stop();
        expect(run.error).toBeUndefined();
        expect(done.length).toBe(puts.length);
        for (const line of new Set(done.map(lineOf))) {
          const order = done.filter((record) => lineOf(record) === line);
          const numbers = order.map((record) => Number(record.text()));
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("an answer whose then cannot be read is a failure of the handler", async () => {
  const run = await batched(["a:1"], () => ({
    // oxlint-disable-next-line unicorn/no-thenable
    get then() {
      throw new Error("no");
    },
  }));
  await run.world.clock.advance(1000);
  expect(run.error()).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
});

test("a half whose records are all given up before the handler sees them does not hold up the other half", async () => {
  const queue = new MemoryDeadLetterQueue();
  const decode = (record: ConsumerRecord): undefined => {
    if (calls > 0 && record.text() < "3") throw new Error("undecodable by now");
  };
  let calls = 0;
  const handler: BatchHandler = () => {
    calls += 1;
    if (calls === 1) throw new Error("the batch failed");
  };
  const options: BatchOptions = { bisect: true, onFailure: queue, decode };
  const run = await batched(["a:1", "a:2", "a:3", "a:4"], handler, options);
  await run.world.clock.advance(5000);
  expect(run.calls).toEqual(["1 2 3 4:1", "3 4:1"]);
  expect((await queue.list()).letters).toHaveLength(2);
});

test("of a batch that failed, records are given up by their own age, not by that of the first", async () => {
  const queue = new MemoryDeadLetterQueue();
  const world = await World.of();
  await world.put("a", "old");
  await world.clock.advance(20_000);
  for (const [key, text] of [
    ["b", "young"],
    ["a", "behind"],
  ] as const)
    await world.put(key, text);
  const calls: string[] = [];
  const consumer = world.consumer({ store: new MemoryStore(), start: "TRIM_HORIZON" });
  const run = await world.runBatches(
    consumer,
    (records, context) => {
      calls.push(`${textsOf(records)}:${context.attempt}`);
      if (calls.length === 1) throw new RetryAfterError(15_000);
    },
    { concurrency: 2, retry: { maxAttempts: 3 }, maxRecordAgeMs: 30_000, onFailure: queue },
  );
  await world.clock.advance(10_000);
  expect(calls).toEqual(["old young behind:1"]);
  await world.clock.advance(10_000);
  const { letters } = await queue.list();
  expect(letters.map(({ data, reason }) => [Buffer.from(data!).toString(), reason])).toEqual([
    ["old", "age"],
  ]);
  expect(calls).toEqual(["old young behind:1", "young behind:2"]);
  await run.stop();
});

test("what is behind a record that is given up by its age has all of its attempts", async () => {
  const world = await World.of();
  await world.put("a", "old");
  await world.clock.advance(20_000);
  await world.put("a", "behind");
  const calls: string[] = [];
  const consumer = world.consumer({ store: new MemoryStore(), start: "TRIM_HORIZON" });
  const run = await world.runBatches(
    consumer,
    (records, context) => {
      calls.push(`${textsOf(records)}:${context.attempt}`);
      return failuresOf(records, "old");
    },
    {
      concurrency: 2,
      retry: { maxAttempts: 3, minDelayMs: 15_000 },
      maxRecordAgeMs: 30_000,
      onFailure: "skip",
    },
  );
  await world.clock.advance(20_000);
  expect(calls).toEqual(["old behind:1", "behind:1"]);
  await run.stop();
});

test("in the order of keys what is behind a letter waits for the earlier records of its key, too", async () => {
  const decode = (record: ConsumerRecord): undefined => {
    if (record.text() === "2") throw new Error("undecodable");
  };
  const finish: (() => void)[] = [];
  const handler: BatchHandler = () => new Promise<void>((resolve) => finish.push(resolve));
  const options: BatchOptions = {
    ordering: "key",
    concurrency: 2,
    onFailure: new MemoryDeadLetterQueue(),
    decode,
  };
  const run = await batched(["a:1", "a:2", "a:3", "b:4"], handler, options);
  await run.world.clock.advance(5000);
  expect(run.calls).toEqual(["1 4:1"]);
  finish[0]!();
  await run.world.clock.advance(1000);
  expect(run.calls).toEqual(["1 4:1", "3:1"]);
});

test("in the order of the shard a letter comes in its turn, and what is behind it waits for it", async () => {
  const queue = new MemoryDeadLetterQueue();
  const decode = (record: ConsumerRecord): undefined => {
    if (record.text() === "2") throw new Error("undecodable");
  };
  const ends: string[] = [];
  const letters: number[] = [];
  const send = queue.send.bind(queue);
  queue.send = (...given) => {
    letters.push(ends.length);
    return send(...given);
  };
  let finish = (): void => {};
  const handler: BatchHandler = async (records) => {
    await new Promise<void>((resolve) => (finish = resolve));
    ends.push(textsOf(records));
  };
  const options: BatchOptions = { ordering: "shard", onFailure: queue, decode };
  const run = await batched(["a:1", "a:2", "a:3"], handler, options);
  for (const done of [[], ["1"], ["1", "3"]]) {
    await run.world.clock.advance(2000);
    expect(ends).toEqual(done);
    finish();
  }
  expect(letters, "the letter comes in its turn").toEqual([1]);
});
