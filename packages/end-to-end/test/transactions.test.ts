import { randomBytes } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Aggregator } from "@kc/aggregator";
import { startEmulator, type Emulator } from "@kc/emulator";
import { afterAll, beforeAll, test } from "vitest";
import { STORES } from "./support/addresses.ts";
import { Deployment } from "./support/deployment.ts";
import { openEffects, type Effects, type EffectsTable } from "./support/effects.ts";
import { bundleConsumer, removeBundle } from "./support/processes.ts";
import { openStore, type StoreAddress } from "./support/stores.ts";
import type { TransactionTask } from "./support/transaction-task.ts";

/** `RUNS=1000 SEED=7` tells other stories, and more of them. What a process is at when it dies is chance. */
const RUNS = Number(process.env["RUNS"] ?? 2);
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
/** Stories that are told at once on a store. */
const AT_ONCE = 2;
const SHARDS = 2;
/** Between two events. */
const RECORDS = 100;

let bundle: { directory: string; program: string };
beforeAll(async () => {
  bundle = await bundleConsumer("transaction-worker");
});
afterAll(() => removeBundle(bundle));

type Case = readonly [
  name: string,
  newAddress: (typeof STORES)[number][1],
  transaction: TransactionTask["transaction"],
];

const CASES = STORES.filter(([name]) => name !== "a Redis cluster").flatMap(
  ([name, newAddress]): readonly Case[] => {
    const byStore = [name, newAddress, "store"] as const;
    if (name !== "Postgres") return [byStore];
    return [byStore, ["Postgres, opened by the handler", newAddress, "handler"]];
  },
);

test.concurrent.for(CASES)(
  "on %s: killed and frozen, under leases or beside another deployment, each record has its effect once",
  { timeout: 240_000 * RUNS },
  async ([, newAddress, transaction], { expect, onTestFinished }) => {
    const address = await newAddress(bundle.directory);
    const { store, close } = await openStore(address);
    await store.setup?.();
    await close();
    const effects = await openEffects(address);
    const emulator = await startEmulator({ quotas: false });
    onTestFinished(async () => {
      await effects.close();
      await emulator.close();
    });
    let next = 0;
    const tellSome = async (): Promise<void> => {
      for (let run = next++; run < RUNS; run = next++) {
        const verdict = await tell(
          { address, effects, emulator, leases: run % 2 === 0, transaction },
          SEED + run,
        );
        expect(verdict, `RUNS=1 SEED=${SEED + run}`).toEqual({ lost: [], repeated: [] });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, tellSome));
  },
);

interface World {
  readonly address: StoreAddress;
  readonly effects: EffectsTable;
  readonly emulator: Emulator;
  readonly leases: boolean;
  readonly transaction: TransactionTask["transaction"];
}

/** Two processes, records all the while, one that is killed and one that stands still; then the count. */
async function tell(world: World, seed: number): Promise<Verdict> {
  const { address, effects, emulator, leases, transaction } = world;
  const random = randomOf(seed);
  const stream = `orders-${randomBytes(4).toString("hex")}`;
  const { kinesis, url: endpoint } = emulator;
  await kinesis.send(new CreateStreamCommand({ StreamName: stream, ShardCount: SHARDS }));
  const task = { endpoint, store: address, stream, application: stream, transaction };
  const deployment = new Deployment({ ...bundle, task, leases, random });
  try {
    deployment.start();
    deployment.start();
    await deployment.ready();
    let put = 0;
    const done = async (): Promise<number> => (await effects.of(stream)).size;
    const isDone = async (): Promise<boolean> => (await done()) === put;
    const events = [() => deployment.kill(), () => deployment.freeze(isDone)];
    if (random() < 0.5) events.reverse();
    for (const event of events) {
      const before = await done();
      put = await feed(emulator, stream, put);
      await deployment.until("records have their effects", async () => (await done()) > before);
      await after(100 * random());
      await event();
    }
    put = await feed(emulator, stream, put);
    await deployment.until("all records have their effects", isDone);
    // What went on late may be at what others have done.
    await after(250);
    await deployment.end();
    return judge(put, await effects.of(stream));
  } finally {
    deployment.destroy();
  }
}

/** The records that had no effect, and those that had it more than once. */
interface Verdict {
  readonly lost: readonly string[];
  readonly repeated: readonly string[];
}

function judge(put: number, effects: Effects): Verdict {
  const records = Array.from({ length: put }, (_, n) => `order ${n}`);
  return {
    lost: records.filter((record) => !effects.has(record)),
    repeated: records.filter((record) => effects.get(record)! > 1),
  };
}

/** Puts some more, half of them in aggregates of the KPL. Answers with how many there are now. */
async function feed({ kinesis }: Emulator, stream: string, from: number): Promise<number> {
  const records = Array.from({ length: RECORDS }, (_, n) => ({
    partitionKey: `customer-${n % 20}`,
    data: Buffer.from(`order ${from + n}`),
  }));
  const [plain, packed] = [records.slice(0, RECORDS / 2), records.slice(RECORDS / 2)];
  const Records = plain.map(({ partitionKey, data }) => ({
    PartitionKey: partitionKey,
    Data: data,
  }));
  // The aggregates come first, so that the next event may fall into one.
  await new Aggregator({ client: kinesis, stream }).put(packed);
  await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
  return from + RECORDS;
}

/** Numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
