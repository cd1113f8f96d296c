import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { aborted } from "../src/deadline.ts";
import {
  MemoryDeadLetterQueue,
  MemoryStore,
  MemoryStoreData,
  NonRetriableError,
  RetryAfterError,
  type DeadLetter,
  type DeadLetterQueue,
  type Handler,
} from "../src/index.ts";
import type { DeliveryOptions } from "../src/options/delivery-options.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };
const TWICE = { maxAttempts: 2, minDelayMs: 1000, factor: 1 };

async function storedIn(store: MemoryStore): Promise<unknown> {
  return (await store.getCheckpoints(SCOPE)).get(SHARD);
}

/** A handler that fails at records with this text, so often. */
function failing(text: string, times = Infinity, error: () => unknown = () => new Error("no")) {
  const calls: string[] = [];
  const handler: Handler = async (record, { attempt }) => {
    calls.push(`${record.text()}:${attempt}`);
    if (record.text() === text && attempt <= times) throw error();
  };
  return { calls, handler };
}

/** A queue that does what the test says, and counts its calls. */
class ScriptedQueue implements DeadLetterQueue {
  readonly calls: { readonly letters: readonly DeadLetter[]; readonly signal: AbortSignal }[] = [];
  answer: (letters: readonly DeadLetter[], signal: AbortSignal) => Promise<void> = async () => {};

  send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.calls.push({ letters, signal });
    return this.answer(letters, signal);
  }

  async close(): Promise<void> {}
}

function settlingTwice(): PromiseLike<void> {
  const settle = (done: () => void, fail: (error: unknown) => void): void => {
    done();
    fail(new Error("too late"));
    done();
  };
  // oxlint-disable-next-line unicorn/no-thenable
  return { then: settle } as unknown as PromiseLike<void>;
}

const deliveries: DeliveryOptions[] = [
  { concurrency: 1 },
  { concurrency: 1, ordering: "none" },
  { concurrency: 4 },
  { concurrency: 4, ordering: "none" },
];

test.each(deliveries)(
  "a record that failed is tried again after its wait, and then done: %j",
  async (options) => {
    const world = await World.of();
    const store = new MemoryStore();
    await world.put("a", "bad");
    const [last] = await world.put("b", "2");
    const { calls, handler } = failing("bad", 1);
    const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
    const run = await world.run(consumer, handler, { ...options, retry: TWICE });
    await world.clock.advance(900);
    const inOrder = options.concurrency === 1 && options.ordering === undefined;
    expect(calls).toEqual(inOrder ? ["bad:1"] : ["bad:1", "2:1"]);
    expect(consumer.status().shards[0]).toMatchObject({
      state: "retrying",
      keysHeldUp: 1,
      retry: { attempt: 2 },
      position: undefined,
    });
    const { nextAttemptInMs } = consumer.status().shards[0]!.retry!;
    expect(nextAttemptInMs).toBeGreaterThan(0);
    expect(nextAttemptInMs).toBeLessThan(1000);
    await world.clock.advance(1000);
    expect(calls).toContain("bad:2");
    expect(consumer.status().shards[0]).toMatchObject({
      state: "reading",
      keysHeldUp: 0,
      retry: undefined,
      recordsInFlight: 0,
    });
    await run.stop();
    expect(run.error).toBeUndefined();
    expect(await storedIn(store)).toMatchObject({ sequenceNumber: last });
    expect(world.counter.total("handler_attempts")).toBe(1);
    expect(world.counter.total("records")).toBe(2);
  },
);

test("the last attempt that fails stops the scan, and the record comes again at the next start", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [good] = await world.put("a", "good");
  await world.put("a", "bad", "behind");
  const { calls, handler } = failing("bad");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, handler, { retry: TWICE });
  await world.clock.advance(5000);
  expect(calls).toEqual(["good:1", "bad:1", "bad:2"]);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: good });
});

test("a key in a retry holds up its own later records, those of later pages too, and nobody else's", async () => {
  const world = await World.of();
  await world.put("a", "bad", "a2");
  await world.put("b", "b1");
  const { calls, handler } = failing("bad", 1);
  const run = await world.start({ start: "TRIM_HORIZON" }, handler, {
    concurrency: 3,
    retry: { maxAttempts: 2, minDelayMs: 10_000, factor: 1 },
  });
  await world.clock.advance(1000);
  await world.put("a", "a3");
  await world.put("b", "b2");
  await world.clock.advance(5000);
  expect(calls).toEqual(["bad:1", "b1:1", "b2:1"]);
  await world.clock.advance(5000);
  expect(calls).toEqual(["bad:1", "b1:1", "b2:1", "bad:2", "a2:1", "a3:1"]);
  await run.stop();
});

test("what waits for a retry keeps a copy of its own, and not its page", async () => {
  const world = await World.of();
  await world.put("a", "bad", "behind");
  await world.put("b", "x".repeat(100_000));
  const { handler } = failing("bad", 1);
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const run = await world.run(consumer, handler, {
    concurrency: 3,
    retry: { maxAttempts: 2, minDelayMs: 10_000, factor: 1 },
  });
  await world.clock.advance(5000);
  const { bufferedBytes } = consumer.status();
  expect(bufferedBytes).toBeGreaterThan(0);
  expect(bufferedBytes).toBeLessThan(2000);
  await world.clock.advance(10_000);
  expect(consumer.status().bufferedBytes).toBe(0);
  expect(run.texts.slice(-2)).toEqual(["bad", "behind"]);
  await run.stop();
});

test.each(["stop", "hand-off", "loss"])(
  "a %s ends the wait for a retry at once, and the record comes again",
  async (how) => {
    const world = await World.of();
    const data = new MemoryStoreData();
    const store = new MemoryStore({ data });
    const group = new ScriptedGroup(data);
    const [before] = await world.put("a", "good");
    await world.put("b", "bad");
    const { calls, handler } = failing("bad");
    const run = await world.start({ store, start: "TRIM_HORIZON", group }, handler, {
      concurrency: 3,
      retry: { maxAttempts: 9, minDelayMs: 36_000_000, maxDelayMs: 36_000_000, factor: 1 },
    });
    const grant = group.grant(SHARD);
    await world.clock.advance(2000);
    expect(calls).toEqual(["good:1", "bad:1"]);
    if (how === "stop") run.abort();
    else if (how === "loss") grant.lose();
    else grant.handOff();
    await world.clock.advance(10);
    const kind = { stop: "stopped", "hand-off": "released", loss: "lost" }[how];
    expect(grant.outcome).toMatchObject({ kind });
    expect(run.consumer.status().bufferedBytes).toBe(0);
    await world.clock.advance(1000);
    expect(await storedIn(store)).toMatchObject({ sequenceNumber: before });
    await run.stop();
    expect(run.error).toBeUndefined();
    expect(calls).toEqual(["good:1", "bad:1"]);
  },
);

test.each<[string, () => unknown]>([
  ["a NonRetriableError", () => new NonRetriableError("never")],
  ["an error of another copy of the library", () => Object.assign(new Error("x"), { [Symbol.for("@kc/non-retriable")]: true })], // prettier-ignore
])("%s gives its record up at the first attempt", async (_, error) => {
  const world = await World.of();
  await world.put("a", "bad", "2");
  const { calls, handler } = failing("bad", Infinity, error);
  const run = await world.start({ start: "TRIM_HORIZON" }, handler, {
    retry: { maxAttempts: 9 },
    onFailure: "skip",
  });
  await world.clock.advance(5000);
  expect(calls).toEqual(["bad:1", "2:1"]);
  await run.stop();
});

test("a RetryAfterError says when the next attempt comes", async () => {
  const world = await World.of();
  await world.put("a", "bad");
  const { calls, handler } = failing("bad", 1, () => new RetryAfterError(7000));
  const run = await world.start({ start: "TRIM_HORIZON" }, handler, { retry: { maxAttempts: 9 } });
  await world.clock.advance(6900);
  expect(calls).toEqual(["bad:1"]);
  await world.clock.advance(300);
  expect(calls).toEqual(["bad:1", "bad:2"]);
  await run.stop();
});

test.each<[string, () => unknown]>([
  ["undefined", () => undefined],
  ["a text", () => "no"],
  ["a frozen error", () => Object.freeze(new Error("no"))],
  ["a proxy that throws at whatever is asked", () => new Proxy({}, { get() { throw new Error("trap"); }, has() { throw new Error("trap"); } })], // prettier-ignore
])("a handler that throws %s has failed as any other", async (_, error) => {
  const world = await World.of();
  const queue = new MemoryDeadLetterQueue();
  await world.put("a", "bad", "2");
  for (const concurrency of [1, 3]) {
    const { calls, handler } = failing("bad", Infinity, error);
    const run = await world.start({ start: "TRIM_HORIZON" }, handler, {
      concurrency,
      onFailure: queue,
    });
    await world.clock.advance(1000);
    expect(calls).toEqual(["bad:1", "2:1"]);
    await run.stop();
    expect(run.error).toBeUndefined();
  }
  const { letters } = await queue.list();
  expect(letters).toMatchObject([{ attempts: 1, reason: "attempts", shardId: SHARD }]);
});

test("a skipped record is done, loudly: a warning without its data, a metric, and the checkpoint passes it", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [bad] = await world.put("a", "bad");
  const { handler } = failing("bad", Infinity, () => new TypeError("bad is secret"));
  const run = await world.start({ store, start: "TRIM_HORIZON" }, handler, { onFailure: "skip" });
  await world.clock.advance(1000);
  await run.stop();
  expect(run.error).toBeUndefined();
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: bad });
  expect(world.counter.total("records_given_up", { shardId: SHARD, reason: "attempts" })).toBe(1);
  expect(world.counter.total("records_given_up")).toBe(1);
  const line = world.logger.lines.find(({ message }) => message.startsWith("a record is skipped"));
  expect(line).toMatchObject({
    level: "warn",
    message: "a record is skipped: TypeError",
    fields: { shardId: SHARD, sequenceNumber: bad, attempts: 1, reason: "attempts" },
  });
  expect(JSON.stringify(line)).not.toContain("secret");
});

test("a letter is acknowledged before its record is done; records that fail together share one call", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const queue = new ScriptedQueue();
  let acknowledge = (): void => {};
  queue.answer = () => new Promise<void>((resolve) => (acknowledge = resolve));
  const numbers = [];
  for (const key of ["a", "b", "c"]) numbers.push(...(await world.put(key, "bad")));
  const [behind] = await world.put("a", "a2");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const calls: string[] = [];
  const together = sleep(world.clock, 1000);
  const run = await world.run(
    consumer,
    async (record) => {
      calls.push(record.text());
      await together;
      if (record.text() === "bad") throw new Error("no");
    },
    { concurrency: 5, onFailure: queue },
  );
  await world.clock.advance(20_000);
  expect(queue.calls).toHaveLength(1);
  expect(queue.calls[0]!.letters.map(({ sequenceNumber }) => sequenceNumber)).toEqual(numbers);
  expect(calls).toEqual(["bad", "bad", "bad"]);
  expect(consumer.status().shards[0]).toMatchObject({ state: "retrying", keysHeldUp: 3 });
  expect(await storedIn(store)).toBeUndefined();
  acknowledge();
  await world.clock.advance(1000);
  expect(calls).toEqual(["bad", "bad", "bad", "a2"]);
  await run.stop();
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: behind });
  expect(world.counter.total("dead_letters")).toBe(3);
});

test("a letter has the record as it was read, whatever its handler has made of it", async () => {
  const world = await World.of();
  const queue = new MemoryDeadLetterQueue();
  const [number] = await world.put("key", "bad");
  const run = await world.start(
    { start: "TRIM_HORIZON" },
    async (record) => {
      const written = record as unknown as Record<string, unknown>;
      for (const name of Object.keys(written)) written[name] = "overwritten";
      throw Object.assign(new Error("no stock"), { code: "E_STOCK" });
    },
    { concurrency: 2, retry: { maxAttempts: 3, minDelayMs: 1, factor: 1 }, onFailure: queue },
  );
  await world.clock.advance(1000);
  await run.stop();
  const { letters } = await queue.list();
  expect(letters).toMatchObject([
    {
      streamName: STREAM,
      application: "billing",
      shardId: SHARD,
      sequenceNumber: number,
      partitionKey: "key",
      attempts: 3,
      reason: "attempts",
      error: { name: "Error", message: "no stock", code: "E_STOCK" },
    },
  ]);
  expect(Buffer.from(letters[0]!.data!).toString()).toBe("bad");
});

test("a queue that is away is tried with a back-off until it takes the letter; it is one trouble, and health knows it", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const queue = new ScriptedQueue();
  queue.answer = () => Promise.reject(new Error("away"));
  const [bad] = await world.put("a", "bad");
  const { handler } = failing("bad");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const run = await world.run(consumer, handler, { onFailure: queue });
  await world.clock.advance(90_000);
  const tries = queue.calls.length;
  expect(tries).toBeGreaterThan(5);
  expect(tries).toBeLessThan(30);
  expect(consumer.status().failingCalls).toMatchObject([
    { service: "dead-letters", operation: "sendDeadLetters", error: "Error: away" },
  ]);
  expect(consumer.health()).toMatchObject({ alive: true, ready: false });
  expect(new Set(queue.calls.map(({ letters }) => letters[0]!.id)).size).toBe(1);
  queue.answer = async () => {};
  await world.clock.advance(40_000);
  expect(consumer.status().failingCalls).toEqual([]);
  expect(consumer.health()).toMatchObject({ ready: true });
  await run.stop();
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: bad });
});

test.each<[string, ScriptedQueue["answer"]]>([
  ["rejects", () => Promise.reject(new Error("away"))],
  ["throws", () => { throw new Error("away"); }], // prettier-ignore
  ["hangs until its signal ends it", (_, signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)))], // prettier-ignore
  ["hangs for ever", () => new Promise(() => {})],
])("a stop ends in time beside a queue that %s, and the record comes again", async (_, answer) => {
  const world = await World.of();
  const store = new MemoryStore();
  const queue = new ScriptedQueue();
  queue.answer = answer;
  const [good] = await world.put("a", "good");
  await world.put("b", "bad");
  const { handler } = failing("bad");
  const options: DeliveryOptions = { concurrency: 2, onFailure: queue };
  const run = await world.start(
    { store, start: "TRIM_HORIZON", drainTimeoutMs: 10_000 },
    handler,
    options,
  );
  await world.clock.advance(2000);
  run.abort();
  await world.clock.advance(6000);
  expect(run.settled).toEqual({ error: undefined });
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: good });
  const again = await world.start({ store, drainTimeoutMs: 10_000 }, handler, {
    onFailure: new MemoryDeadLetterQueue(),
  });
  await world.clock.advance(2000);
  await again.stop();
  expect(again.texts).toEqual(["bad"]);
});

test("a letter that is under way at a stop is waited for, and its record is done", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const queue = new ScriptedQueue();
  queue.answer = () => sleep(world.clock, 3000);
  const [bad] = await world.put("b", "bad");
  const { handler } = failing("bad");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, handler, { onFailure: queue });
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(3000);
  expect(run.settled).toEqual({ error: undefined });
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: bad });
});

test("after a lost lease no letter is sent, and what comes back of one changes nothing", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  const store = new MemoryStore({ data });
  const group = new ScriptedGroup(data);
  const queue = new ScriptedQueue();
  queue.answer = () => sleep(world.clock, 3000);
  await world.put("a", "bad");
  await world.put("b", "late");
  const handler: Handler = async (record) => {
    if (record.text() === "late") await sleep(world.clock, 2000);
    throw new Error("no");
  };
  const run = await world.start({ store, start: "TRIM_HORIZON", group }, handler, {
    concurrency: 2,
    onFailure: queue,
  });
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  grant.lose();
  await world.clock.advance(10_000);
  expect(queue.calls).toHaveLength(1);
  expect(queue.calls[0]!.signal.aborted).toBe(true);
  expect(await storedIn(store)).toBeUndefined();
  await run.stop();
});

test.each<DeliveryOptions>([
  { onFailure: "skip" },
  { retry: TWICE },
  { onFailure: new ScriptedQueue() },
])("what fails while its shard stops is not given up: the stop may be why: %j", async (options) => {
  const world = await World.of();
  const store = new MemoryStore();
  const [good] = await world.put("a", "good");
  await world.put("b", "interrupted");
  const stopping = new AbortController();
  const handler: Handler = async (record) => {
    if (record.text() === "good") return;
    // As libraries do that have an error of their own for it.
    await aborted(stopping.signal);
    throw new Error("canceled");
  };
  const run = await world.start({ store, start: "TRIM_HORIZON" }, handler, {
    concurrency: 2,
    ...options,
  });
  await world.clock.advance(2000);
  run.abort();
  stopping.abort();
  await world.clock.advance(100);
  expect(run.settled).toEqual({ error: undefined });
  expect(await storedIn(store)).toMatchObject({ sequenceNumber: good });
  expect(world.counter.total("records_given_up")).toBe(0);
});

test("a record that is too old is not tried, by the service's clock, and goes to the queue without an attempt", async () => {
  const world = await World.of();
  const queue = new MemoryDeadLetterQueue();
  await world.put("a", "old");
  await world.clock.advance(60_000);
  const { calls, handler } = failing("new", 1);
  const run = await world.start({ start: "TRIM_HORIZON" }, handler, {
    concurrency: 2,
    maxRecordAgeMs: 30_000,
    retry: { maxAttempts: 9, minDelayMs: 20_000, factor: 1 },
    onFailure: queue,
  });
  await world.put("a", "new");
  await world.clock.advance(60_000);
  await run.stop();
  expect(calls).toEqual(["new:1", "new:2"]);
  const { letters } = await queue.list();
  expect(letters).toMatchObject([
    { attempts: 0, reason: "age", error: { name: "RecordTooOldError" } },
  ]);
});

test("a handler that takes too long has failed: its signal aborts, and its key waits until it has returned", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const events: string[] = [];
  const [last] = await world.put("a", "slow", "behind");
  await world.put("b", "other");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const run = await world.run(
    consumer,
    async (record, { signal, attempt }) => {
      events.push(`${record.text()}:${attempt}`);
      if (record.text() !== "slow" || attempt > 1) return;
      signal.addEventListener("abort", () => events.push((signal.reason as Error).name));
      await sleep(world.clock, 8000);
      events.push("returned");
    },
    {
      concurrency: 2,
      handlerTimeoutMs: 5000,
      retry: { maxAttempts: 2, minDelayMs: 10, factor: 1 },
    },
  );
  await world.clock.advance(7900);
  expect(events).toEqual(["slow:1", "other:1", "HandlerTimeoutError"]);
  await world.clock.advance(1000);
  expect(events.slice(3)).toEqual(["returned", "slow:2", "behind:1"]);
  await run.stop();
  expect(run.error).toBeUndefined();
  expect(last).toBeDefined();
  expect(world.counter.total("handler_errors")).toBe(1);
});

test.each<[string, () => unknown]>([
  ["never returns", () => new Promise(() => {})],
  ["settles twice", settlingTwice],
])(
  "a handler that %s holds up its key for its timeout and the drain timeout, and no stop",
  async (name, answer) => {
    const world = await World.of();
    const store = new MemoryStore();
    const queue = new MemoryDeadLetterQueue();
    await world.put("a", "odd");
    const [last] = await world.put("a", "behind");
    const run = await world.start(
      { store, start: "TRIM_HORIZON", drainTimeoutMs: 3000 },
      (record) => (record.text() === "odd" ? answer() : undefined),
      { concurrency: 2, handlerTimeoutMs: 5000, onFailure: queue },
    );
    await world.clock.advance(7900);
    expect(run.texts).toEqual(name === "never returns" ? ["odd"] : ["odd", "behind"]);
    await world.clock.advance(1000);
    expect(run.texts).toEqual(["odd", "behind"]);
    run.abort();
    await world.clock.advance(10);
    expect(run.settled).toEqual({ error: undefined });
    expect(await storedIn(store)).toMatchObject({ sequenceNumber: last });
    const { letters } = await queue.list();
    expect(letters.map(({ error }) => error.name)).toEqual(
      name === "never returns" ? ["HandlerTimeoutError"] : [],
    );
  },
);

test("hundreds of records that wait leave no listener and no timer of their own", async () => {
  const world = await World.of();
  for (let i = 0; i < 300; i += 1) await world.put(`k${i}`, "bad");
  const { handler } = failing("bad");
  const run = await world.start({ start: "TRIM_HORIZON" }, handler, {
    concurrency: 300,
    handlerTimeoutMs: 60_000,
    retry: { maxAttempts: 9, minDelayMs: 100_000, maxDelayMs: 200_000 },
  });
  await world.clock.advance(2000);
  expect(run.consumer.status().shards[0]).toMatchObject({ keysHeldUp: 300, state: "retrying" });
  expect(world.clock.pendingTimers).toBeLessThan(20);
  expect(getEventListeners(run.signal, "abort").length).toBeLessThanOrEqual(1);
  await run.stop();
});

test("the end of a shard comes once a record of a sync handler was tried again, and is done", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "bad");
  const handler: Handler = (_record, { attempt }) => {
    if (attempt === 1) throw new Error("no");
  };
  await world.start({ store, start: "TRIM_HORIZON" }, handler, { retry: TWICE });
  await world.split(SHARD);
  await world.clock.advance(10_000);
  expect(await storedIn(store)).toMatchObject({ kind: "shard-end" });
});

test("a handler that overwrites its record's arrival makes it no older for the next attempt", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const attempts: number[] = [];
  const day: DeliveryOptions = { maxRecordAgeMs: 86_400_000, onFailure: "skip" };
  const run = await world.start(
    { start: "TRIM_HORIZON" },
    (record, { attempt }) => {
      attempts.push(attempt);
      Object.assign(record, { approximateArrivalMs: 0 });
      if (attempt < 3) throw new Error("no");
    },
    { ...day, retry: { maxAttempts: 5 } },
  );
  await world.clock.advance(5000);
  await run.stop();
  expect(attempts).toEqual([1, 2, 3]);
});

test("without a policy too, a handler may write into its record and fail", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start(
    { start: "TRIM_HORIZON" },
    async (record) => {
      for (const name of Object.keys(record)) Object.assign(record, { [name]: "overwritten" });
      throw new Error("no");
    },
    { concurrency: 2 },
  );
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", shardId: SHARD });
});
