import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AcquiredLease, LeaseStore, StoreScope } from "@kc/core";
import { SqliteStore } from "@kc/store-sqlite";
import { median } from "../rounds.ts";
import { startServices, type Services } from "../services.ts";
import { dynamodb, monthOf, type Units } from "./dynamodb.ts";
import { mysql } from "./mysql.ts";
import { postgres } from "./postgres.ts";
import { redis } from "./redis.ts";
import { startRelay, type Relay } from "./relay.ts";
import type { Counts, Subject } from "./subject.ts";

const SHARDS = [10, 100, 1000];
const ROUNDS = 5;
const STREAM = "costs";
const LINEAGE = JSON.stringify({ parents: [], listed: true, first: true });
const WORKER = {
  workerId: "billing-worker-7d9c5b6f4-x2x8q",
  incarnation: "018f6d3e-7a4b-4c1d-9e2f-5a6b7c8d9e0f",
  weight: 1,
  maxShards: undefined,
};
const OPERATIONS = ["claim", "flush", "heartbeatAndLook", "listing"] as const;
type Operation = (typeof OPERATIONS)[number];

/** The cost of a call: medians, and the server's counts. */
type Measures = Readonly<Record<string, number>>;

/** The cost of flushes, heartbeats and claims, on each store and its server. */
export async function benchStores(): Promise<object> {
  const directory = mkdtempSync(join(tmpdir(), "kc-bench-"));
  const stores: Record<string, object> = {};
  try {
    await using services = await startServices();
    for (const [name, make] of Object.entries(subjects(services, directory))) {
      await using subject = await make();
      const shards: Record<string, Record<Operation, Measures>> = {};
      for (const count of SHARDS) {
        shards[count] = await measuresOf(subject, count);
        console.error(name, count, shards[count]);
      }
      stores[name] = {
        shards,
        ...(await subject.closing?.()),
        ...(name === "dynamodb" ? { month: months(shards) } : {}),
      };
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { date: new Date().toISOString().slice(0, 10), rounds: ROUNDS, stores };
}

function subjects(
  services: Services,
  directory: string,
): Record<string, () => Subject | Promise<Subject>> {
  const { mysql: oracle } = services;
  return {
    postgres: () => postgres(services.postgres),
    ...(oracle === undefined ? {} : { mysql: () => mysql(oracle) }),
    mariadb: () => mysql(services.mariadb),
    redis: () => redis(services.redis),
    dynamodb: () => dynamodb(services.dynamodb),
    sqlite: () => ({
      url: undefined,
      open: () => new SqliteStore({ path: join(directory, "costs.sqlite") }),
      meter: async () => ({}),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  };
}

async function measuresOf(subject: Subject, count: number): Promise<Record<Operation, Measures>> {
  const scope = { application: `of-${count}`, streamName: STREAM };
  const shardIds = Array.from(
    { length: count },
    (_, n) => `shardId-${String(n).padStart(12, "0")}`,
  );
  const timed = await withStore(subject.open(subject.url), async (store) => {
    await store.setup?.();
    await store.openApplication(scope, {
      ...scope,
      streamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${STREAM}`,
      start: "LATEST",
      startedAt: new Date(),
      migrated: false,
    });
    await store.joinWorker(scope, WORKER);
    await store.putShards(
      scope,
      shardIds.map((shardId) => ({ shardId, lineage: LINEAGE })),
    );
    const group = new Group(store, scope, shardIds);
    await group.round((_, call) => call()); // the first checkpoints of all cost more
    const rounds: Record<Operation, Measures>[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rounds.push(await group.round((_, call) => measured(subject.meter, call)));
    }
    return byOperation((operation) => medians(rounds.map((round) => round[operation])));
  });
  const traffic = await trafficOf(subject, scope, shardIds);
  const locked = await locksOf(subject, scope, shardIds);
  return byOperation((operation) => ({
    ...timed[operation],
    ...traffic?.[operation],
    ...locked?.[operation],
  }));
}

async function trafficOf(
  subject: Subject,
  scope: StoreScope,
  shardIds: readonly string[],
): Promise<Record<Operation, Measures> | undefined> {
  if (subject.url === undefined) return undefined;
  await using relay: Relay = await startRelay(subject.url);
  return await withStore(subject.open(relay.url), async (store) => {
    const group = new Group(store, scope, shardIds);
    await group.round((_, call) => call()); // connects, and loads its scripts
    return group.round(async (_, call) => {
      relay.take();
      await call();
      return { ...relay.take() };
    });
  });
}

async function locksOf(
  { locks }: Subject,
  scope: StoreScope,
  shardIds: readonly string[],
): Promise<Record<Operation, Measures> | undefined> {
  if (locks === undefined) return undefined;
  return withStore(locks.open(), async (store) => {
    const group = new Group(store, scope, shardIds);
    return group.round(async (_, call) => {
      locks.take();
      await call();
      return { rowsLocked: locks.take() };
    });
  });
}

async function withStore<Answer>(
  store: LeaseStore,
  work: (store: LeaseStore) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

let written = 0n;

/**
 * One worker that claims all shards, writes all their checkpoints, reads the group's rows, and
 * releases the shards.
 */
class Group {
  readonly #store: LeaseStore;
  readonly #scope: StoreScope;
  readonly #shardIds: readonly string[];

  constructor(store: LeaseStore, scope: StoreScope, shardIds: readonly string[]) {
    this.#store = store;
    this.#scope = scope;
    this.#shardIds = shardIds;
  }

  async round<Answer>(
    measure: (operation: Operation, call: () => Promise<void>) => Promise<Answer>,
  ): Promise<Record<Operation, Answer>> {
    const [store, scope] = [this.#store, this.#scope];
    let held: readonly AcquiredLease[] = [];
    const claim = await measure("claim", async () => {
      held = await store.acquireLeases(scope, WORKER, this.#shardIds);
    });
    if (held.length < this.#shardIds.length) throw new Error("not all shards were free");
    const flushed = async (): Promise<void> => {
      const digits = String((written += 1n)).padStart(28, "0");
      const results = await store.setCheckpoints(
        scope,
        held.map(({ shardId, fence }) => ({
          shardId,
          fence,
          checkpoint: { kind: "position", sequenceNumber: `4959033827149025660855969253${digits}` },
        })),
      );
      if (!results.every(({ outcome }) => outcome === "written")) throw new Error("not written");
    };
    await flushed(); // the first one after a claim may cost more
    const flush = await measure("flush", flushed);
    const heartbeatAndLook = await measure("heartbeatAndLook", async () => {
      await store.heartbeat(scope, WORKER);
      await store.listWorkers(scope);
    });
    const listing = await measure("listing", async () => void (await store.listLeases(scope)));
    await store.releaseLeases(scope, held);
    return { claim, flush, heartbeatAndLook, listing };
  }
}

/** Measures one call: its time, the longest block of the event loop, and the server's counts. */
async function measured(
  meter: () => Promise<Counts>,
  call: () => Promise<void>,
): Promise<Measures> {
  const before = await meter();
  let longest = 0;
  let last = performance.now();
  let over = false;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setImmediate(tick);
  };
  const began = performance.now();
  const calling = call();
  tick();
  await calling;
  const ms = performance.now() - began;
  longest = Math.max(longest, performance.now() - last);
  over = true;
  const after = await meter();
  const counts = Object.entries(after).map(([name, n]) => [name, n - (before[name] ?? 0)] as const);
  return { ms, longestBlockMs: longest, ...Object.fromEntries(counts) };
}

function medians(rounds: readonly Measures[]): Measures {
  const names = Object.keys(rounds[0]!);
  return Object.fromEntries(
    names.map((name) => [name, Number(median(rounds.map((round) => round[name]!)).toFixed(1))]),
  );
}

function byOperation<Value>(of: (operation: Operation) => Value): Record<Operation, Value> {
  return Object.fromEntries(OPERATIONS.map((operation) => [operation, of(operation)])) as Record<
    Operation,
    Value
  >;
}

function months(shards: Readonly<Record<string, Record<Operation, Measures>>>): object {
  const month = (count: number): object => {
    const { flush, heartbeatAndLook, listing } = shards[count]!;
    const units = ({ writeUnits = 0, readUnits = 0 }: Measures, per = 1): Units => ({
      writeUnits: writeUnits / per,
      readUnits: readUnits / per,
    });
    return monthOf(
      { shards: count, workers: 10, flushSeconds: 10 },
      {
        shardFlush: units(flush, count),
        heartbeatAndLook: units(heartbeatAndLook),
        listing: units(listing),
      },
    );
  };
  return { "100 shards, 10 workers": month(100), "1,000 shards, 10 workers": month(1000) };
}
