import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  Consumer,
  MemoryDeadLetterQueue,
  MemoryTransaction,
  StoreError,
  type DeadLetter,
  type TransactionalDeadLetters,
  type TransactionalStore,
} from "../src/index.ts";
import {
  consumerOn,
  Database,
  SCOPE,
  SHARD,
  transacting,
  worldWith,
  type Transactional,
} from "./support/effects.ts";
import { STREAM } from "./support/world.ts";

const FIVE = ["1", "2", "3", "4", "5"];

const away = (): StoreError =>
  new StoreError("STORE_UNAVAILABLE", "the store is away", { retryable: true });

/** A handler whose table has a unique key: it refuses what is stored already. */
const unique = (database: Database): Transactional => {
  return (records, { tx }) => {
    for (const record of records) {
      if (database.effects.includes(record.text())) throw new Error("duplicate key");
    }
    database.apply(tx, records);
  };
};

function letterQueue(): { queue: MemoryDeadLetterQueue; sent: string[] } {
  const sent: string[] = [];
  class Watched extends MemoryDeadLetterQueue {
    override async send(letters: readonly DeadLetter[]): Promise<void> {
      sent.push(...letters.map(({ data }) => Buffer.from(data!).toString()));
    }
  }
  return { queue: new Watched(), sent };
}

test("a unique key that a lost answer's commit has filled is no failure", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const store = database.open();
  store.disturbances.afterCommit = async () => {
    delete store.disturbances.afterCommit;
    throw away();
  };
  const { queue, sent } = letterQueue();
  const options = { onFailure: queue, retry: { maxAttempts: 1 } };
  const run = await transacting(world, store, unique(database), { maxRecords: 3, ...options });
  await world.clock.advance(20_000);
  expect([run.error, sent]).toEqual([undefined, []]);
  expect(run.calls).toEqual(["1 2 3:1", "1 2 3:1", "4 5:1"]);
  expect(database.effects).toEqual(FIVE);
});

test("a unique key that another deployment has filled is no failure, and the rest is stored", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const other = database.open();
  let isFirst = true;
  const handler: Transactional = async (records, context) => {
    if (isFirst) {
      isFirst = false;
      const write = {
        shardId: SHARD,
        from: { sequenceNumber: world.numbers[0]! },
        checkpoint: { kind: "position", sequenceNumber: world.numbers[2]! },
      } as const;
      await other.transact(SCOPE, write, (tx) => database.apply(tx, records.slice(0, 3)));
    }
    return unique(database)(records, context);
  };
  const run = await transacting(world, database.open(), handler);
  await world.clock.advance(5000);
  expect(run.error).toBeUndefined();
  expect(run.calls).toEqual(["1 2 3 4 5:1", "4 5:1"]);
  expect(database.effects).toEqual(FIVE);
});

test("records that are too old by the time that the store answers again have no letter if they are stored", async () => {
  const world = await worldWith("1", "2");
  const database = new Database();
  const store = database.open();
  let isAway = false;
  store.disturbances.begin = async () => {
    if (isAway) throw away();
  };
  store.disturbances.afterCommit = async () => {
    isAway = true;
    throw away();
  };
  const { queue, sent } = letterQueue();
  await transacting(world, store, (records, { tx }) => database.apply(tx, records), {
    maxRecordAgeMs: 10_000,
    onFailure: queue,
  });
  await world.clock.advance(60_000);
  expect(database.effects).toEqual(["1", "2"]);
  expect(sent).toEqual([]);
});

test("a handler that committed by itself after its timeout has no letter", async () => {
  const world = await worldWith("1");
  const database = new Database();
  const { queue, sent } = letterQueue();
  const consumer = consumerOn(world, database.open());
  const run = await world.runScan(consumer, ({ signal }) =>
    consumer.scanTransaction(
      async (records, { checkpoint }) => {
        const tx = new MemoryTransaction();
        database.apply(tx, records);
        await checkpoint(tx);
        await sleep(world.clock, 3000);
        tx.commit();
      },
      {
        transaction: "handler",
        handlerTimeoutMs: 1000,
        retry: { maxAttempts: 1 },
        onFailure: queue,
        signal,
      },
    ),
  );
  await world.clock.advance(20_000);
  expect(run.error).toBeUndefined();
  expect(database.effects).toEqual(["1"]);
  expect(sent).toEqual([]);
});

class LetterTable extends MemoryDeadLetterQueue implements TransactionalDeadLetters {
  readonly held: string[] = [];
  readonly store: TransactionalStore;

  constructor(store: TransactionalStore) {
    super();
    this.store = store;
  }

  sendIn(tx: MemoryTransaction, letters: readonly DeadLetter[]): void {
    tx.add(() => this.held.push(...letters.map(({ data }) => Buffer.from(data!).toString())));
  }
}

test("letters of which another deployment has stored the first: the others are put", async () => {
  const world = await worldWith(...FIVE);
  const database = new Database();
  const other = database.open();
  const store = database.open();
  let transactions = 0;
  store.disturbances.begin = async () => {
    transactions += 1;
    if (transactions !== 2) return;
    const write = {
      shardId: SHARD,
      from: { sequenceNumber: world.numbers[0]! },
      checkpoint: { kind: "position", sequenceNumber: world.numbers[1]! },
    } as const;
    await other.transact(SCOPE, write, (tx) => tx.add(() => database.effects.push("1", "2")));
  };
  // A world gives its consumers the store in a wrapper; a table knows the store by itself.
  const consumer = new Consumer({
    stream: STREAM,
    application: "billing",
    client: world.kinesis,
    clock: world.clock,
    start: "TRIM_HORIZON",
    store,
  });
  const table = new LetterTable(store);
  const run = await world.runScan(consumer, ({ signal }) =>
    consumer.scanTransaction(
      () => {
        throw new Error("all of them");
      },
      { onFailure: table, bisect: false, retry: { maxAttempts: 1 }, signal },
    ),
  );
  await world.clock.advance(20_000);
  expect(run.error).toBeUndefined();
  expect([database.effects, table.held]).toEqual([
    ["1", "2"],
    ["3", "4", "5"],
  ]);
});
