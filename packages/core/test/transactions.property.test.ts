import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Consumer, LeaseGroup, StoreError } from "../src/index.ts";
import { aggregateOf } from "./support/aggregates.ts";
import {
  Database,
  type Disturbances,
  type Transactional,
  type WatchedStore,
} from "./support/effects.ts";
import { STREAM, World } from "./support/world.ts";

const RECORDS = 24;
const TEXTS = Array.from({ length: RECORDS }, (_, index) => String(index));
const never = (): Promise<never> => new Promise(() => {});

/** Records of one shard: single ones, and aggregates of several. */
async function filled(sizes: readonly number[]): Promise<World> {
  const world = await World.of();
  let next = 0;
  for (let turn = 0; next < RECORDS; turn += 1) {
    const size = Math.min(sizes[turn % sizes.length]!, RECORDS - next);
    const texts = TEXTS.slice(next, next + size);
    next += size;
    const users = texts.map((text) => ({ partitionKey: "a", data: Buffer.from(text) }));
    const Data = size === 1 ? users[0]!.data : aggregateOf(users);
    await world.kinesis.send(
      new PutRecordsCommand({ StreamName: STREAM, Records: [{ Data, PartitionKey: "a" }] }),
    );
  }
  return world;
}

interface Life {
  /** The point at which it is killed, counted over all its transactions. */
  readonly killedAt: number;
  readonly maxRecords: number;
  /** At which points the store fails in passing. */
  readonly failsAt: readonly number[];
  readonly poison: number;
}

const lifeOf: fc.Arbitrary<Life> = fc.record({
  killedAt: fc.integer({ min: 1, max: 30 }),
  maxRecords: fc.integer({ min: 1, max: 7 }),
  failsAt: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 4 }),
  poison: fc.integer({ min: -10, max: RECORDS }),
});

/** A process. It stands still for ever at the point at which it is killed: what it sent before is sent. */
class Process {
  readonly #world: World;
  readonly #stop = new AbortController();
  #killed = false;
  #points = 0;

  constructor(world: World) {
    this.#world = world;
  }

  begin(database: Database, life: Life, isLeased: boolean): void {
    const store = database.open();
    const point = async (): Promise<void> => {
      this.#points += 1;
      if (this.#points === life.killedAt) this.kill(store);
      if (this.#killed) return never();
      if (!life.failsAt.includes(this.#points)) return;
      throw new StoreError("STORE_UNAVAILABLE", "in passing", { retryable: true });
    };
    Object.assign(store.disturbances, {
      begin: point,
      beforeCommit: point,
      afterCommit: point,
    } satisfies Disturbances);
    const poison = new Error("poison");
    const handler: Transactional = async (records, { tx }) => {
      for (const record of records) {
        database.apply(tx, [record]);
        await Promise.resolve();
        if (this.#killed) return never();
        // Once, so that in the end every record is stored.
        if (record.text() === String(life.poison) && records.length > 1) throw poison;
      }
    };
    const { clock, kinesis } = this.#world;
    const consumer = new Consumer({
      stream: STREAM,
      application: "billing",
      client: kinesis,
      clock,
      store,
      start: "TRIM_HORIZON",
      random: () => 0.5,
      drainTimeoutMs: 1000,
      ...(isLeased ? { group: new LeaseGroup({ leaseMs: 4000 }) } : {}),
    } as never) as Consumer<WatchedStore>;
    const { signal } = this.#stop;
    const scan = consumer.scanTransaction(handler, {
      maxRecords: life.maxRecords,
      retry: { maxAttempts: 3, minDelayMs: 10 },
      signal,
    });
    // A process that was killed ends as it ends.
    scan.catch(() => {});
  }

  kill(store?: WatchedStore): void {
    this.#killed = true;
    void store?.close();
    this.#stop.abort();
  }
}

const inOneOrder = { numRuns: 12 } as const;

for (const isLeased of [false, true]) {
  test(`processes that are killed at any await${isLeased ? ", under leases" : ""}: each effect is stored once, in order`, async () => {
    const runs = fc.asyncProperty(
      fc.array(lifeOf, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      async (lives, sizes) => {
        const world = await filled(sizes);
        const database = new Database();
        for (const each of lives) {
          const one = new Process(world);
          one.begin(database, each, isLeased);
          await world.clock.advance(15_000);
          one.kill();
          await world.clock.advance(8000);
        }
        const last = new Process(world);
        last.begin(database, { killedAt: 0, maxRecords: 5, failsAt: [], poison: -1 }, isLeased);
        await world.clock.advance(20_000);
        last.kill();
        await world.clock.advance(3000);
        expect(database.effects).toEqual(TEXTS);
      },
    );
    await fc.assert(runs, inOneOrder);
  });
}

test("processes that read one shard at once, killed and failing: each effect is stored once, in order", async () => {
  const runs = fc.asyncProperty(
    fc.array(lifeOf, { minLength: 2, maxLength: 3 }),
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
    async (lives, sizes) => {
      const world = await filled(sizes);
      const database = new Database();
      const all = [...lives, { killedAt: 0, maxRecords: 4, failsAt: [3, 8], poison: 7 }].map(
        (each) => {
          const one = new Process(world);
          one.begin(database, each, false);
          return one;
        },
      );
      await world.clock.advance(20_000);
      for (const one of all) one.kill();
      await world.clock.advance(3000);
      expect(database.effects).toEqual(TEXTS);
    },
  );
  await fc.assert(runs, inOneOrder);
});
