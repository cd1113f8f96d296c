import { expect, test } from "vitest";
import {
  checkpointAt,
  Consumer,
  LeaseGroup,
  MemoryDeadLetterQueue,
  MemoryStore,
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
  storing,
  transacting,
  worldWith,
  type OwnTransactional,
  type Transactional,
  type WatchedStore,
} from "./support/effects.ts";
import { World } from "./support/world.ts";

const TEXTS = ["0", "1", "2", "3", "4", "5", "6"];
const ONE = { maxRecords: 1 };
const REGRESSED = { code: "STORE_REGRESSED", retryable: false, shardId: SHARD };

/** The database goes on with what a replica has that lacks all but the first batches. */
function failOver(database: Database, numbers: readonly string[], batches: number): void {
  database.effects.length = batches;
  const sequenceNumber = numbers[batches - 1];
  database.data.shard(SCOPE, SHARD).checkpoint =
    sequenceNumber === undefined ? undefined : checkpointAt({ sequenceNumber });
}

/** Stores its records' texts. Before it has stored the one that is named, `event` happens, once. */
function interrupted(database: Database, text: string, event: () => unknown): Transactional {
  let isOver = false;
  return async (records, { tx }) => {
    if (!isOver && records[0]!.text() === text) {
      isOver = true;
      await event();
    }
    database.apply(tx, records);
  };
}

/** The commit of that number takes effect, then `event` happens, and its answer is lost. */
function loseAnswer(store: WatchedStore, number: number, event: () => void): void {
  let commits = 0;
  store.disturbances.afterCommit = async () => {
    commits += 1;
    if (commits !== number) return;
    event();
    throw new StoreError("STORE_UNAVAILABLE", "no answer", { retryable: true });
  };
}

test.each([1, 0])(
  "a store that lost its last batches in mid-run and has %i left ends the scan, and the next one stores each record once",
  async (left) => {
    const world = await worldWith(...TEXTS);
    const database = new Database();
    const handler = interrupted(database, "3", () => failOver(database, world.numbers, left));
    const run = await transacting(world, database.open(), handler, ONE);
    await world.clock.advance(60_000);
    expect(run.error).toMatchObject(REGRESSED);
    expect(run.calls, "it is not run again").toEqual(["0:1", "1:1", "2:1", "3:1"]);
    expect(database.effects).toEqual(TEXTS.slice(0, left));
    const next = await transacting(world, database.open(), handler, ONE);
    await world.clock.advance(60_000);
    expect(next.error).toBeUndefined();
    expect(database.effects).toEqual(TEXTS);
  },
);

test("what was read at the start counts: a store that loses it before the first batch takes none", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const first = await transacting(world, database.open(), storing(database));
  await world.clock.advance(1000);
  await first.stop();
  await world.put("a", "7");
  const lose = (): void => failOver(database, world.numbers, 4);
  const run = await transacting(world, database.open(), interrupted(database, "7", lose));
  await world.clock.advance(60_000);
  expect(run.error).toMatchObject(REGRESSED);
  expect(database.effects).toEqual(TEXTS.slice(0, 4));
});

test("a first start knows of nothing, and stores its first batch", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const store = database.open();
  const run = await transacting(world, store, storing(database), ONE);
  await world.clock.advance(1000);
  await run.stop();
  expect(database.effects).toEqual(TEXTS);
  const known = [undefined, ...world.numbers.slice(0, -1)];
  expect(store.transactions.map(({ after }) => after?.sequenceNumber)).toEqual(known);
});

test("a commit whose answer was lost, with the store back before it, is not stored on top of that", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const store = database.open();
  loseAnswer(store, 4, () => failOver(database, world.numbers, 2));
  const run = await transacting(world, store, storing(database), ONE);
  await world.clock.advance(60_000);
  expect(run.error).toMatchObject(REGRESSED);
  expect(run.calls.slice(0, 4)).toEqual(["0:1", "1:1", "2:1", "3:1"]);
  expect(database.effects).toEqual(["0", "1"]);
});

test("a commit whose answer was lost, and that was lost itself, is stored once", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const store = database.open();
  loseAnswer(store, 4, () => failOver(database, world.numbers, 3));
  const run = await transacting(world, store, storing(database), ONE);
  await world.clock.advance(60_000);
  expect(run.error).toBeUndefined();
  expect(database.effects).toEqual(TEXTS);
});

test("the handler's own transaction is refused too, whatever a library makes of it", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const calls: string[] = [];
  const handler: OwnTransactional = async (records, { checkpoint }) => {
    calls.push(records[0]!.text());
    if (records[0]!.text() === "3") failOver(database, world.numbers, 1);
    const tx = new MemoryTransaction();
    database.apply(tx, records);
    try {
      await checkpoint(tx);
    } catch (error) {
      tx.rollback();
      throw new Error("what a library makes of it", { cause: error });
    }
    tx.commit();
  };
  const consumer = consumerOn(world, database.open());
  const run = await world.runScan(consumer, ({ signal }) =>
    consumer.scanTransaction(handler, { ...ONE, transaction: "handler", signal }),
  );
  await world.clock.advance(60_000);
  expect(run.error).toMatchObject(REGRESSED);
  expect(calls).toEqual(["0", "1", "2", "3"]);
  expect(database.effects).toEqual(["0"]);
});

test("halves of a batch go on behind one another, and not behind a half that was lost", async () => {
  const world = await worldWith("0", "1", "2", "3");
  const database = new Database();
  const handler: Transactional = (records, { tx }) => {
    if (records.length > 1) throw new Error("too many");
    if (records[0]!.text() === "2") failOver(database, world.numbers, 1);
    database.apply(tx, records);
  };
  const run = await transacting(world, database.open(), handler, { retry: { maxAttempts: 1 } });
  await world.clock.advance(60_000);
  expect(run.error).toMatchObject(REGRESSED);
  expect(database.effects).toEqual(["0"]);
});

test.each([
  ["the scan ends", undefined],
  ["under a lease the shard is read again", new LeaseGroup({ workerId: "one" })],
])(
  "a dead letter in the same database is put on no store that lost the batch before: %s",
  async (_, group) => {
    const world = await worldWith(...TEXTS);
    const database = new Database();
    const store = database.open();
    class Letters extends MemoryDeadLetterQueue implements TransactionalDeadLetters {
      readonly store: TransactionalStore = store;
      readonly held: DeadLetter[] = [];

      sendIn(tx: MemoryTransaction, letters: readonly DeadLetter[]): void {
        tx.add(() => this.held.push(...letters));
      }
    }
    const letters = new Letters();
    const options = {
      stream: "orders",
      application: "billing",
      client: world.kinesis,
      clock: world.clock,
      start: "TRIM_HORIZON",
      random: () => 0.5,
      store,
    } as const;
    const consumer = group ? new Consumer({ ...options, group }) : new Consumer(options);
    const interrupting = interrupted(database, "3", () => failOver(database, world.numbers, 1));
    const handler: Transactional = async (records, context) => {
      await interrupting(records, context);
      if (records[0]!.text() === "3") throw new Error("refused");
    };
    const run = await world.runScan(consumer, ({ signal }) =>
      consumer.scanTransaction(handler, {
        ...ONE,
        retry: { maxAttempts: 1 },
        onFailure: letters,
        signal,
      }),
    );
    await world.clock.advance(60_000);
    const held = letters.held.map(({ sequenceNumber }) => sequenceNumber);
    if (group === undefined) {
      expect(run.error).toMatchObject(REGRESSED);
      expect([database.effects, held]).toEqual([["0"], []]);
    } else {
      expect(run.error).toBeUndefined();
      const others = TEXTS.filter((text) => text !== "3");
      expect([database.effects, held]).toEqual([others, [world.numbers[3]]]);
    }
  },
);

test("a reset to an earlier position ends the scan of who reads without leases", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const reset = (): Promise<void> =>
    new MemoryStore({ data: database.data }).resetCheckpoint(
      SCOPE,
      SHARD,
      checkpointAt({ sequenceNumber: world.numbers[0]! }),
    );
  const handler = interrupted(database, "3", reset);
  const run = await transacting(world, database.open(), handler, ONE);
  await world.clock.advance(60_000);
  expect(run.error).toMatchObject(REGRESSED);
  expect(database.effects).toEqual(["0", "1", "2"]);
});

test("a forced reset under leases takes the lease away: the shard is read again from there", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const reset = (): Promise<void> =>
    new MemoryStore({ data: database.data }).resetCheckpoint(
      SCOPE,
      SHARD,
      checkpointAt({ sequenceNumber: world.numbers[0]! }),
      { force: true },
    );
  const handler = interrupted(database, "3", reset);
  const group = new LeaseGroup({ workerId: "one" });
  const run = await transacting(world, database.open(), handler, ONE, { group });
  await world.clock.advance(60_000);
  expect(run.error).toBeUndefined();
  expect(database.effects).toEqual(["0", "1", "2", "1", "2", "3", "4", "5", "6"]);
});

test("a store that lost a shard's last batches under its lease: it is read again from what is stored, and no other", async () => {
  const world = await World.of({ shards: 2 });
  const numbers = await world.put("a", ...TEXTS);
  await world.put("d", "on the other shard");
  const database = new Database();
  const ofFirst = interrupted(database, "3", () => failOver(database, numbers, 1));
  const handler: Transactional = (records, context) =>
    context.shardId === SHARD ? ofFirst(records, context) : undefined;
  const group = new LeaseGroup({ workerId: "one" });
  const run = await transacting(world, database.open(), handler, ONE, { group });
  await world.clock.advance(60_000);
  expect(run.error).toBeUndefined();
  const { shards } = database.data.application(SCOPE);
  expect([...shards.values()].map(({ epoch }) => epoch)).toEqual([2, 1]);
  const [line] = world.logger.find("error", /the store has lost commits/);
  expect(line?.fields).toMatchObject({ shardId: SHARD, err: { code: "STORE_REGRESSED" } });
  expect(world.counter.total("errors", { error: "STORE_REGRESSED" })).toBe(1);
  expect(database.effects).toEqual(TEXTS);
  expect(run.calls.filter((call) => call === "on the other shard:1")).toHaveLength(1);
});

test("a store that lost a shard's first batch under its lease, its checkpoint with it, gets it again", async () => {
  const world = await worldWith(...TEXTS);
  const database = new Database();
  const handler = interrupted(database, "3", () => failOver(database, world.numbers, 0));
  const group = new LeaseGroup({ workerId: "one" });
  const run = await transacting(world, database.open(), handler, ONE, { group });
  await world.clock.advance(60_000);
  expect(run.error).toBeUndefined();
  expect(database.effects).toEqual(TEXTS);
});
