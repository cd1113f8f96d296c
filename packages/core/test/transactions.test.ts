import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { describe, expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  checkpointAt,
  Consumer,
  LeaseGroup,
  MemoryDeadLetterQueue,
  MemoryStore,
  MemoryTransaction,
  SkipCheckpoint,
  StoreError,
  type DeadLetter,
  type TransactionalDeadLetters,
  type TransactionalStore,
} from "../src/index.ts";
import { aggregateOf, userRecord } from "./support/aggregates.ts";
import {
  consumerOn,
  Database,
  SCOPE,
  SHARD,
  storing,
  transacting,
  worldWith,
  type OwnTransactional,
  type Transactional,
} from "./support/effects.ts";
import { STREAM, World, type Run } from "./support/world.ts";

const FIVE = ["1", "2", "3", "4", "5"];

const away = (): StoreError =>
  new StoreError("STORE_UNAVAILABLE", "the store is away", { retryable: true });

/** How many transactions had which outcome. */
function outcomes({ counter }: World): Record<string, number> {
  const all = ["committed", "done", "lost", "failed"].map((outcome) => {
    return [outcome, counter.total("transactions", { shardId: SHARD, outcome })] as const;
  });
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

test("effects and checkpoint are stored together, and the checkpointer writes nothing of its own", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const store = database.open();
  const run = await transacting(world, store, storing(database), { maxRecords: 2 });
  await world.clock.advance(10_000);
  expect(run.calls).toEqual(["1 2:1", "3 4:1", "5:1"]);
  expect(database.effects).toEqual(FIVE);
  const { shards } = run.consumer.status();
  const last = { kind: "position", sequenceNumber: world.numbers[4] };
  expect(shards[0]).toMatchObject({ acknowledged: last, unflushedForMs: 0 });
  expect(outcomes(world)).toEqual({ committed: 3 });
  await run.stop();
  expect(await database.stored()).toEqual(last);
  expect(store.checkpointWrites).toBe(0);
});

test("flushIntervalMs: 0 asks for no write either", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const store = database.open();
  const own = { flushIntervalMs: 0 };
  const run = await transacting(world, store, storing(database), { maxRecords: 2 }, own);
  await world.clock.advance(1000);
  await run.stop();
  expect([database.effects, store.checkpointWrites]).toEqual([FIVE, 0]);
});

test("the end of a shard is checkpointed after its last transaction", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  await world.split(SHARD);
  await transacting(world, database.open(), storing(database));
  await world.clock.advance(10_000);
  expect(database.effects).toEqual(FIVE);
  expect(await database.stored()).toMatchObject({ kind: "shard-end" });
});

test("a transaction that ends inside an aggregate has the last whole record, for readers that know numbers alone", async () => {
  const world = await worldWith("0");
  const data = aggregateOf(["1", "2", "3", "4"].map((text) => userRecord("k", text)));
  const put = { StreamName: STREAM, PartitionKey: "a", Data: data };
  const first = (await world.kinesis.send(new PutRecordCommand(put))).SequenceNumber!;
  const second = (await world.kinesis.send(new PutRecordCommand(put))).SequenceNumber!;
  const store = new Database().open();
  const run = await transacting(world, store, () => {}, { maxRecords: 2 });
  await world.clock.advance(10_000);
  await run.stop();
  const before = world.numbers[0];
  expect(store.transactions.map(({ checkpoint }) => checkpoint)).toEqual([
    checkpointAt({ sequenceNumber: first, subSequenceNumber: 0, wholeSequenceNumber: before }),
    checkpointAt({ sequenceNumber: first, subSequenceNumber: 2, wholeSequenceNumber: before }),
    checkpointAt({ sequenceNumber: second, subSequenceNumber: 0, wholeSequenceNumber: first }),
    checkpointAt({ sequenceNumber: second, subSequenceNumber: 2, wholeSequenceNumber: first }),
    checkpointAt({ sequenceNumber: second }),
  ]);
  expect(store.checkpointWrites, "the whole record is stored by its transaction").toBe(0);
});

test("a handler that throws stores nothing, and ends the scan", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const thrown = new Error("the handler's own");
  const handler: Transactional = async (records, { tx }) => {
    database.apply(tx, records);
    await Promise.resolve();
    throw thrown;
  };
  const run = await transacting(world, database.open(), handler, { bisect: false });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED", cause: thrown });
  expect([database.effects, await database.stored()]).toEqual([[], undefined]);
});

test("bisect is on: all but the poisonous record are stored, once, and in order", async () => {
  const world = await worldWith(...FIVE, "6", "7", "8");
  const database = new Database();
  const handler: Transactional = (records, { tx }) => {
    database.apply(tx, records);
    if (records.some((record) => record.text() === "6")) throw new Error("poison");
  };
  const run = await transacting(world, database.open(), handler, { onFailure: "skip" });
  await world.clock.advance(5000);
  expect(database.effects).toEqual([...FIVE, "7", "8"]);
  await run.stop();
  expect(await database.numberStored()).toBe(world.numbers[7]);
});

describe("an answer", () => {
  for (const [what, answer] of [
    ["SkipCheckpoint", SkipCheckpoint],
    ["failed items", { batchItemFailures: [{ itemIdentifier: "1" }] }],
    ["failed items that are no list", { batchItemFailures: 1 }],
  ] as const) {
    test(`of ${what} is refused before the commit, whatever onFailure is`, async () => {
      const world = await worldWith("1");
      const database = new Database();
      const handler: Transactional = (records, { tx }) => {
        database.apply(tx, records);
        return answer;
      };
      const run = await transacting(world, database.open(), handler, { onFailure: "skip" });
      await world.clock.advance(1000);
      expect(run.error).toMatchObject({ code: "TRANSACTION_MISUSED", shardId: SHARD });
      expect([database.effects, await database.stored()]).toEqual([[], undefined]);
    });
  }

  test("of no failed items is a success", async () => {
    const world = await worldWith("1");
    const database = new Database();
    const handler: Transactional = async (records, { tx }) => {
      database.apply(tx, records);
      return { batchItemFailures: [] };
    };
    await transacting(world, database.open(), handler);
    await world.clock.advance(1000);
    expect(database.effects).toEqual(["1"]);
  });
});

test("a handler that ends the transaction itself ends the scan", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const handler: Transactional = (_records, { tx }) => tx.rollback();
  const run = await transacting(world, database.open(), handler, { onFailure: "skip" });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "TRANSACTION_MISUSED", retryable: false });
});

test("what another process stored meanwhile is dropped from the batch, and the rest is stored", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const other = database.open();
  let isFirst = true;
  const handler: Transactional = async (records, { tx }) => {
    database.apply(tx, records);
    if (!isFirst) return;
    isFirst = false;
    const write = {
      shardId: SHARD,
      from: { sequenceNumber: world.numbers[0]! },
      checkpoint: { kind: "position", sequenceNumber: world.numbers[2]! },
    } as const;
    await other.transact(SCOPE, write, (theirs) => database.apply(theirs, records.slice(0, 3)));
  };
  const run = await transacting(world, database.open(), handler);
  await world.clock.advance(5000);
  expect(run.calls).toEqual(["1 2 3 4 5:1", "4 5:1"]);
  expect(database.effects).toEqual(FIVE);
  expect(run.error).toBeUndefined();
  expect(outcomes(world)).toEqual({ committed: 1, done: 1 });
});

test("a commit whose answer was lost is found out, and counts as no attempt", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const store = database.open();
  store.disturbances.afterCommit = async () => {
    delete store.disturbances.afterCommit;
    throw away();
  };
  const run = await transacting(world, store, storing(database), { maxRecords: 3 });
  const { shards } = run.consumer.status();
  expect(shards[0]?.error).toContain("the store is away");
  await world.clock.advance(5000);
  expect(run.calls).toEqual(["1 2 3:1", "1 2 3:1", "4 5:1"]);
  expect(database.effects).toEqual(FIVE);
  expect(run.consumer.status().shards[0]?.error).toBeUndefined();
});

test("a store that is away is waited for: no attempt, no timeout of the handler, and no end of the scan", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const store = database.open();
  let tries = 0;
  store.disturbances.begin = async () => {
    tries += 1;
    if (tries > 3) return;
    await sleep(world.clock, 5000);
    throw away();
  };
  const run = await transacting(world, store, storing(database), { handlerTimeoutMs: 1000 });
  await world.clock.advance(60_000);
  expect(run.calls).toEqual(["1:1"]);
  expect(database.effects).toEqual(["1"]);
  const retried = { operation: "transact", error: "STORE_UNAVAILABLE" };
  expect(world.counter.total("retries", retried)).toBe(3);
  expect(outcomes(world)).toEqual({ committed: 1, failed: 3 });
});

test("a commit that is not answered at all is asked for again", async () => {
  const world = await worldWith("1", "2");
  const database = new Database();
  const store = database.open();
  store.disturbances.beforeCommit = () => {
    delete store.disturbances.beforeCommit;
    return new Promise(() => {});
  };
  await transacting(world, store, storing(database));
  await world.clock.advance(29_000);
  expect(database.effects).toEqual([]);
  await world.clock.advance(5000);
  expect(database.effects).toEqual(["1", "2"]);
});

test("a store may wait for its turn for as long as that takes", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const store = database.open();
  store.disturbances.begin = () => sleep(world.clock, 100_000);
  await transacting(world, store, storing(database));
  await world.clock.advance(101_000);
  expect([database.effects, store.transactions.length]).toEqual([["1"], 1]);
});

test("a handler may take as long as it likes, and a store behind it has its own time", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const handler: Transactional = async (records, { tx }) => {
    await sleep(world.clock, 120_000);
    database.apply(tx, records);
  };
  const run = await transacting(world, database.open(), handler);
  await world.clock.advance(121_000);
  expect(run.calls).toEqual(["1:1"]);
  expect(database.effects).toEqual(["1"]);
});

test("a lasting failure of the store ends the scan", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const store = database.open();
  store.disturbances.begin = async () => {
    throw new StoreError("STORE_SCHEMA", "there is no table");
  };
  const run = await transacting(world, store, storing(database), { onFailure: "skip" });
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "STORE_SCHEMA" });
});

test("what the database refuses at the commit is the handler's failure", async () => {
  const world = await worldWith("1", "2");
  const database = new Database();
  const store = database.open();
  store.disturbances.beforeCommit = async () => {
    if (store.transactions.length === 1) throw new Error("a deferred constraint");
  };
  const run = await transacting(world, store, storing(database), { retry: { maxAttempts: 2 } });
  await world.clock.advance(5000);
  expect(run.calls).toEqual(["1 2:1", "1:1", "2:1"]);
  expect(database.effects).toEqual(["1", "2"]);
});

test("handlerTimeoutMs rolls back, and the next attempt waits until the handler has returned", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const aborts: unknown[] = [];
  let running = 0;
  const handler: Transactional = async (records, { tx, signal, attempt }) => {
    expect((running += 1)).toBe(1);
    database.apply(tx, records);
    if (attempt === 1) await sleep(world.clock, 8000);
    if (signal.aborted) aborts.push((signal.reason as Error).name);
    running -= 1;
  };
  const options = { handlerTimeoutMs: 3000, retry: { minDelayMs: 100, factor: 1 } };
  const run = await transacting(world, database.open(), handler, options);
  await world.clock.advance(7900);
  expect([run.calls, database.effects]).toEqual([["1:1"], []]);
  await world.clock.advance(2000);
  expect([run.calls, database.effects]).toEqual([["1:1", "1:2"], ["1"]]);
  expect(aborts).toEqual(["HandlerTimeoutError"]);
});

test("a handler that never returns is not waited for longer than drainTimeoutMs", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const handler: Transactional = (records, { tx, attempt }) => {
    database.apply(tx, records);
    return attempt === 1 ? new Promise(() => {}) : undefined;
  };
  const options = { handlerTimeoutMs: 3000, retry: { minDelayMs: 0, maxAttempts: 2 } };
  const run = await transacting(world, database.open(), handler, options, { drainTimeoutMs: 4000 });
  await world.clock.advance(6900);
  expect(run.calls).toEqual(["1:1"]);
  await world.clock.advance(1000);
  expect([run.calls, database.effects]).toEqual([["1:1", "1:2"], ["1"]]);
});

test("each run of a batch gets records of its own", async () => {
  const world = await worldWith("1", "2");
  const database = new Database();
  const store = database.open();
  store.disturbances.beforeCommit = async () => {
    delete store.disturbances.beforeCommit;
    throw away();
  };
  const handler: Transactional = (records, { tx }) => {
    database.apply(tx, records);
    for (const record of records) Object.assign(record, { sequenceNumber: "1", text: () => "?" });
  };
  const run = await transacting(world, store, handler);
  await world.clock.advance(5000);
  expect(database.effects).toEqual(["1", "2"]);
  await run.stop();
  expect(await database.numberStored()).toBe(world.numbers[1]);
});

describe("at a stop", () => {
  test("the transaction in hand is finished, and no other begins", async () => {
    const world = await worldWith(...FIVE);
    const database = new Database();
    const handler: Transactional = async (records, { tx }) => {
      await sleep(world.clock, 3000);
      database.apply(tx, records);
    };
    const run = await transacting(world, database.open(), handler, { maxRecords: 2 });
    await run.stop();
    expect(run.error).toBeUndefined();
    expect([run.calls, database.effects]).toEqual([["1 2:1"], ["1", "2"]]);
  });

  test("a transaction that its time does not suffice for is rolled back", async () => {
    const world = await worldWith("1");
    const database = new Database();
    let aborted = false;
    const handler: Transactional = async (records, { tx, signal }) => {
      database.apply(tx, records);
      await sleep(world.clock, 60_000, signal);
      aborted = signal.aborted;
    };
    const run = await transacting(world, database.open(), handler, {}, { drainTimeoutMs: 2000 });
    await run.stop();
    expect(run.error).toMatchObject({ code: "DRAIN_TIMEOUT" });
    expect([aborted, database.effects, await database.stored()]).toEqual([true, [], undefined]);
  });

  test("a store that is away is not waited for", async () => {
    const world = await worldWith("1");
    const database = new Database();
    const store = database.open();
    store.disturbances.begin = async () => {
      throw away();
    };
    const run = await transacting(world, store, storing(database));
    await world.clock.advance(30_000);
    const before = store.transactions.length;
    await run.stop();
    expect(run.error).toBeUndefined();
    expect(store.transactions.length - before).toBeLessThanOrEqual(1);
  });
});

test("under a lease: a worker that was replaced in the midst of a transaction stores nothing", async () => {
  const world = await worldWith("1", "2");
  const database = new Database();
  let taken = false;
  const handler: Transactional = async (records, { tx, fence }) => {
    expect(fence).toMatchObject({ epoch: expect.any(Number) });
    database.apply(tx, records);
    const shard = database.data.shard(SCOPE, SHARD);
    if (!taken) Object.assign(shard, { owner: "another#1", epoch: shard.epoch + 1 });
    taken = true;
  };
  const group = new LeaseGroup({ workerId: "one" });
  const run = await transacting(world, database.open(), handler, {}, { group });
  await world.clock.advance(3000);
  expect(run.error).toBeUndefined();
  expect(outcomes(world)).toEqual({ lost: 1, committed: 1 });
  expect(database.effects, "its next owner, here itself, stores them").toEqual(["1", "2"]);
});

test("a hand-off finishes the transaction in hand, and the next owner goes on behind it", async () => {
  const world = await World.of({ shards: 2 });
  const database = new Database();
  const texts = Array.from({ length: 60 }, (_, n) => String(n));
  for (const text of texts) await world.put(`key-${text}`, text);
  const handler: Transactional = async (records, { tx }) => {
    await sleep(world.clock, 2000);
    database.apply(tx, records);
  };
  const options = { maxRecords: 3 };
  const worker = (workerId: string): Promise<Run> =>
    transacting(world, database.open(), handler, options, {
      group: new LeaseGroup({ workerId }),
    });
  await worker("one");
  await world.clock.advance(10_000);
  await worker("two");
  await world.clock.advance(120_000);
  expect(database.effects.toSorted()).toEqual(texts.toSorted());
});

/** Letters in a database's own table. */
class LetterTable extends MemoryDeadLetterQueue implements TransactionalDeadLetters {
  readonly store: TransactionalStore;
  readonly held: DeadLetter[] = [];

  constructor(store: TransactionalStore) {
    super();
    this.store = store;
  }

  sendIn(tx: MemoryTransaction, letters: readonly DeadLetter[]): void {
    tx.add(() => this.held.push(...letters));
  }

  override async send(): Promise<void> {
    throw new Error("a letter that goes by itself");
  }
}

/** The consumer of a world gives its store in a wrapper; a table knows the store by itself. */
function lettersWorld(world: World, database: Database, handler: Transactional) {
  const store = database.open();
  const table = new LetterTable(store);
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    client: world.kinesis,
    clock: world.clock,
    counter: world.counter,
    start: "TRIM_HORIZON",
    random: () => 0.5,
    store,
  });
  const decode = (record: { text(): string }): undefined => {
    if (record.text() === "3") throw new Error("undecodable");
  };
  const run = world.runScan(consumer, ({ signal }) =>
    consumer.scanTransaction(handler, { onFailure: table, decode, signal }),
  );
  return { store, table, run };
}

test("a letter for the store's own table is stored with its record's checkpoint, in its turn", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const handler: Transactional = async (records, { tx }) => {
    await sleep(world.clock, 1000);
    database.apply(tx, records);
    if (records.some((record) => record.text() === "5")) throw new Error("poison");
  };
  const { store, table, run } = lettersWorld(world, database, handler);
  await run;
  await world.clock.advance(20_000);
  expect(database.effects).toEqual(["1", "2", "4"]);
  expect(table.held.map(({ sequenceNumber }) => sequenceNumber)).toEqual([
    world.numbers[2],
    world.numbers[4],
  ]);
  const parts = store.transactions.map(({ from, checkpoint }) =>
    [from.sequenceNumber, checkpoint.sequenceNumber].map((n) => world.numbers.indexOf(n!) + 1),
  );
  expect(parts).toEqual([
    [1, 2],
    [3, 3],
    [4, 5],
    [4, 4],
    [5, 5],
    [5, 5],
  ]);
  expect(store.checkpointWrites).toBe(0);
  expect(world.counter.total("dead_letters")).toBe(2);
});

test("a letter whose transaction breaks comes again, and is held once", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const { store, table, run } = lettersWorld(world, database, storing(database));
  let broken = 0;
  store.disturbances.afterCommit = async () => {
    broken += 1;
    if (broken === 2) throw away();
  };
  await run;
  await world.clock.advance(20_000);
  expect(table.held).toHaveLength(1);
  expect(database.effects).toEqual(["1", "2", "4", "5"]);
});

test("a letter for any other queue is acknowledged before its record counts as done", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  let acknowledge = (): void => {};
  const queue = {
    send: () => new Promise<void>((resolve) => (acknowledge = resolve)),
    close: async () => {},
  };
  const handler: Transactional = (records, { tx }) => {
    database.apply(tx, records);
    if (records.some((record) => record.text() === "3")) throw new Error("poison");
  };
  const run = await transacting(world, database.open(), handler, { onFailure: queue });
  await world.clock.advance(20_000);
  expect(database.effects).toEqual(["1", "2"]);
  expect(await database.numberStored()).toBe(world.numbers[1]);
  acknowledge();
  await world.clock.advance(2000);
  expect(database.effects).toEqual(["1", "2", "4", "5"]);
  await run.stop();
});

describe('transaction: "handler"', () => {
  async function own(
    world: World,
    store: ReturnType<Database["open"]>,
    handler: OwnTransactional,
    options: {
      readonly onFailure?: "skip";
      readonly retry?: { readonly maxAttempts: number };
    } = {},
  ): Promise<Run> {
    const consumer = consumerOn(world, store);
    return world.runScan(consumer, ({ signal }) =>
      consumer.scanTransaction(handler, { ...options, transaction: "handler", signal }),
    );
  }

  /** A handler with a library of its own. */
  const committing = (
    database: Database,
    end: (tx: MemoryTransaction) => unknown = (tx) => tx.commit(),
  ): OwnTransactional => {
    return async (records, { checkpoint }) => {
      const tx = new MemoryTransaction();
      try {
        database.apply(tx, records);
        await checkpoint(tx);
      } catch (error) {
        tx.rollback();
        throw new Error("what a library makes of it", { cause: error });
      }
      await end(tx);
    };
  };

  test("the handler's own transaction has the checkpoint", async () => {
    const world = await worldWith(...FIVE);
    const database = new Database();
    const store = database.open();
    const run = await own(world, store, committing(database));
    await world.clock.advance(1000);
    expect(database.effects).toEqual(FIVE);
    await run.stop();
    expect(await database.numberStored()).toBe(world.numbers[4]);
    expect(store.checkpointWrites).toBe(0);
  });

  for (const [what, handler] of [
    ["does not call checkpoint", async () => {}],
    [
      "does not wait for checkpoint",
      (_records, { checkpoint }) => void checkpoint(new MemoryTransaction()).catch(() => {}),
    ],
    ["does not commit", async (_records, { checkpoint }) => checkpoint(new MemoryTransaction())],
    [
      "calls checkpoint twice",
      async (_records, { checkpoint }) => {
        const tx = new MemoryTransaction();
        await checkpoint(tx);
        await checkpoint(tx).catch(() => {});
        tx.commit();
      },
    ],
  ] as readonly (readonly [string, OwnTransactional])[]) {
    test(`a handler that ${what} ends the scan, whatever onFailure is`, async () => {
      const world = await worldWith("1");
      const database = new Database();
      const run = await own(world, database.open(), handler, { onFailure: "skip" });
      await world.clock.advance(5000);
      expect(run.error).toMatchObject({ code: "TRANSACTION_MISUSED", shardId: SHARD });
    });
  }

  test("records that are stored already are refused, and the rest is run again", async () => {
    const world = await worldWith(...FIVE);
    const database = new Database();
    let isFirst = true;
    const seen: unknown[] = [];
    const handler: OwnTransactional = async (records, context) => {
      if (isFirst) {
        isFirst = false;
        const checkpoint = { kind: "position", sequenceNumber: world.numbers[1]! } as const;
        await new MemoryStore({ data: database.data }).setCheckpoint(SCOPE, {
          shardId: SHARD,
          checkpoint,
        });
      }
      try {
        await committing(database)(records, context);
      } catch (error) {
        seen.push((error as { cause: { code: unknown } }).cause.code);
        throw error;
      }
    };
    const run = await own(world, database.open(), handler);
    await world.clock.advance(5000);
    expect(run.error).toBeUndefined();
    expect(seen).toEqual(["TRANSACTION_REFUSED"]);
    expect(database.effects).toEqual(["3", "4", "5"]);
  });

  test("a commit whose answer was lost is read from the store", async () => {
    const world = await worldWith(...FIVE);
    const database = new Database();
    let calls = 0;
    const handler = committing(database, (tx) => {
      tx.commit();
      throw new Error("the connection broke");
    });
    const run = await own(world, database.open(), (...given) => {
      calls += 1;
      return handler(...given);
    });
    await world.clock.advance(5000);
    expect(run.error).toBeUndefined();
    expect([calls, database.effects]).toEqual([1, FIVE]);
  });

  test("what the store calls passing is run again, and is no attempt", async () => {
    const world = await worldWith("1");
    const database = new Database();
    const store = database.open();
    const deadlock = new Error("deadlock");
    Object.assign(store, { isTransient: (error: unknown) => error === deadlock });
    const attempts: number[] = [];
    const handler: OwnTransactional = async (records, context) => {
      attempts.push(context.attempt);
      if (attempts.length === 1) throw deadlock;
      return committing(database)(records, context);
    };
    const run = await own(world, store, handler);
    await world.clock.advance(5000);
    expect([run.error, attempts, database.effects]).toEqual([undefined, [1, 1], ["1"]]);
  });

  test("a handler that fails by itself has failed", async () => {
    const world = await worldWith("1");
    const database = new Database();
    const attempts: number[] = [];
    const handler: OwnTransactional = (_records, { attempt }) => {
      attempts.push(attempt);
      throw new Error("its own");
    };
    const run = await own(world, database.open(), handler, { retry: { maxAttempts: 2 } });
    await world.clock.advance(5000);
    expect(attempts).toEqual([1, 2]);
    expect(run.error).toMatchObject({ code: "HANDLER_FAILED" });
  });
});

describe("options", () => {
  const world = (): Promise<World> => World.of();

  for (const [name, options] of [
    ["concurrency", { concurrency: 2 }],
    ["ordering", { ordering: "key" }],
    ["ordering", { ordering: "none" }],
    ["key", { key: () => "" }],
    ["transaction", { transaction: "mine" }],
    ["bisekt", { bisekt: true }],
  ] as const) {
    test(`${JSON.stringify(options)} is refused by the name ${name}`, async () => {
      const consumer = consumerOn(await world(), new Database().open());
      const scan = consumer.scanTransaction(() => {}, options as object);
      await expect(scan).rejects.toMatchObject({ code: "CONFIG_INVALID", option: name });
    });
  }

  test("a batch of one record needs no bisect: false", async () => {
    const one = await worldWith("1", "2");
    const database = new Database();
    const run = await transacting(one, database.open(), storing(database), { maxRecords: 1 });
    await one.clock.advance(1000);
    expect(run.calls).toEqual(["1:1", "2:1"]);
  });

  test("a store without transactions is refused, and so is none", async () => {
    const plain: object = Object.assign(new MemoryStore(), { transact: undefined });
    for (const store of [plain, undefined]) {
      const consumer = (await world()).consumer({ store } as never) as Consumer<never>;
      const scan = consumer.scanTransaction(() => {});
      await expect(scan).rejects.toMatchObject({ code: "CONFIG_INVALID", option: "store" });
    }
  });

  test('transaction: "handler" needs a store that takes part in others\' transactions', async () => {
    const store = Object.assign(new Database().open(), { checkpointIn: undefined });
    const consumer = consumerOn(await world(), store);
    const scan = consumer.scanTransaction(() => {}, { transaction: "handler" });
    await expect(scan).rejects.toMatchObject({ code: "CONFIG_INVALID", option: "transaction" });
  });
});
