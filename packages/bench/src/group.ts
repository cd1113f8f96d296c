import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryStore, MemoryStoreData, type LeaseStore } from "@kc/core";
import { median } from "./rounds.ts";
import { startServices } from "./services.ts";
import { openers } from "./stores.ts";
import { Team } from "./team.ts";

const SHARDS = 10;
const ROUNDS = 5;
const LEASE_MS = 3000;
const HEARTBEAT_MS = LEASE_MS / 10;
/** How long the calls of a stable group are counted, in milliseconds. */
const STEADY_MS = 5000;

interface Measures {
  /** From the call of scan() until the new worker holds its half, in milliseconds. */
  readonly joinToBalanceMs: number;
  readonly joinToFirstRecordMs: number;
  /** The number of records that were handled twice, in all rounds. */
  readonly repeatsAtHandOff: number;
  /** From the last sign of a worker until the other holds all shards, beyond the lease. */
  readonly takeOverBeyondLeaseHeartbeats: number;
}

/** The cost of sharing shards: the time of joins and take-overs, and the calls in between. */
export async function benchGroup(): Promise<object> {
  const directory = mkdtempSync(join(tmpdir(), "kc-bench-"));
  const stores: Record<string, Measures> = {};
  try {
    await using services = await startServices();
    for (const [name, open] of Object.entries(await openers(services, directory))) {
      stores[name] = await measuresOf(open);
      console.error(name, stores[name]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return {
    leaseMs: LEASE_MS,
    heartbeatMs: HEARTBEAT_MS,
    shards: SHARDS,
    stores,
    steadyCallsAWorkerAndHeartbeat: await steadyCalls(),
    planMs: await planMs(),
  };
}

async function measuresOf(open: () => LeaseStore): Promise<Measures> {
  const balance: number[] = [];
  const first: number[] = [];
  const takeOver: number[] = [];
  let repeats = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await using team = await Team.of({ shards: SHARDS, leaseMs: LEASE_MS, open });
    await team.join("a");
    await team.until(() => team.heldBy("a") === SHARDS);
    team.produce();
    await team.pause(500);
    const began = performance.now();
    const b = await team.join("b");
    await team.until(() => team.heldBy("b") === SHARDS / 2);
    balance.push(performance.now() - began);
    await team.until(() => b.handled > 0);
    first.push(performance.now() - began);
    await team.pause(300);
    repeats += team.repeats;
    const silent = performance.now();
    b.fallSilent();
    await team.until(() => team.heldBy("a") === SHARDS);
    takeOver.push((performance.now() - silent - LEASE_MS) / HEARTBEAT_MS);
  }
  return {
    joinToBalanceMs: Math.round(median(balance)),
    joinToFirstRecordMs: Math.round(median(first)),
    repeatsAtHandOff: repeats,
    takeOverBeyondLeaseHeartbeats: Number(median(takeOver).toFixed(2)),
  };
}

/** Counted on the memory store: the calls are core's and the same for each store. */
async function steadyCalls(): Promise<Record<string, number>> {
  const measures: Record<string, number> = {};
  for (const shards of [10, 100, 1000]) {
    for (const workers of [1, 4, 16]) {
      const data = new MemoryStoreData();
      const open = (): LeaseStore => new MemoryStore({ data });
      await using team = await Team.of({ shards, leaseMs: LEASE_MS, open });
      for (let n = 0; n < workers; n += 1) await team.join(`w${n}`);
      await team.until(() => team.held === shards);
      await team.pause(1000);
      const before = team.calls;
      const began = performance.now();
      await team.pause(STEADY_MS);
      const heartbeats = ((performance.now() - began) / HEARTBEAT_MS) * workers;
      const name = `${shards} shards, ${workers} workers`;
      measures[name] = Number(((team.calls - before) / heartbeats).toFixed(2));
      console.error(name, measures[name]);
    }
  }
  return measures;
}

/** Plans for 10,000 shards and 200 workers, a quarter of which has just joined. */
async function planMs(): Promise<number> {
  const { plan } = (await import(
    new URL("../../core/dist/groups/leases/plan.js", import.meta.url).href
  )) as { plan: (shards: readonly object[], workers: readonly object[]) => unknown };
  const workers = Array.from({ length: 200 }, (_, n) => ({ workerId: `w${n}`, weight: 1 }));
  const shards = Array.from({ length: 10_000 }, (_, n) => ({
    shardId: `shardId-${String(n).padStart(12, "0")}`,
    owner: `w${n % 150}`,
  }));
  const times = Array.from({ length: 20 }, () => {
    const began = performance.now();
    plan(shards, workers);
    return performance.now() - began;
  });
  return Number(median(times).toFixed(2));
}
