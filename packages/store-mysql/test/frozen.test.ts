import type { AcquiredLease, StoreScope, WorkerMembership, WorkerRow } from "@kc/core";
import { describe, expect, it } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { SERVERS, ownDatabase, ownPool } from "./support/servers.ts";
import { watched } from "./support/statements.ts";
import { at, CLOSED, openStore, shard, WORKER, writeOf } from "./support/store.ts";

/** A lease's length, within which others must be able to go on. */
const timeoutMs = 4000;
const FROZEN: WorkerMembership = { ...WORKER, workerId: "frozen" };
const OTHER: WorkerMembership = { ...WORKER, workerId: "other" };
const IDS = Array.from({ length: 5 }, (_, index) => shard(index));
const ROWS = IDS.map((shardId) => ({ shardId, lineage: "{}" }));
/** A shard that the frozen worker has not claimed yet, and one that is done. */
const [NEXT, DONE] = [shard(8), shard(9)];

type Call = (
  store: MysqlStore,
  scope: StoreScope,
  held: readonly AcquiredLease[],
) => Promise<unknown>;

const flushOf = (held: readonly AcquiredLease[], n: number) =>
  held.map(({ shardId, fence }) => ({ ...writeOf(at(n), shardId), fence }));

const CALLS: Readonly<Record<string, Call>> = {
  "a flush": (store, scope, held) => store.setCheckpoints(scope, flushOf(held, 2)),
  "a flush that moves nothing": (store, scope, held) =>
    store.setCheckpoints(scope, flushOf(held, 1)),
  "a claim": (store, scope) => store.acquireLeases(scope, FROZEN, [NEXT]),
  "a release": (store, scope, held) => store.releaseLeases(scope, held),
  "a removal": (store, scope) => store.removeShards(scope, [DONE]),
  "a reset": (store, scope) => store.resetCheckpoint(scope, IDS[0]!, undefined, { force: true }),
  "new shards": (store, scope) =>
    store.putShards(scope, [
      { shardId: shard(7), lineage: "{}" },
      { shardId: NEXT, lineage: "changed", replaces: "{}" },
    ]),
  "a heartbeat": (store, scope) => store.heartbeat(scope, FROZEN),
  "a join": (store, scope) => store.joinWorker(scope, { ...FROZEN, workerId: "joins" }),
  "an eviction": (store, scope) => store.evictWorker(scope, { ...FROZEN, counter: 0 }),
  "a leave": (store, scope) => store.leaveWorker(scope, FROZEN),
};

describe.each(SERVERS)("a process that stands still on $name", ({ address }) => {
  /**
   * Its connection stays open, as that of a stopped process does. Whatever message it stands still
   * before or after, others evict it, take its shards, write them, and give them back.
   */
  it.each(Object.entries(CALLS))(
    "in %s holds nothing that others need",
    async (_name, call) => {
      const { options } = await ownDatabase(address);
      const other = openStore({ connection: options, timeoutMs });
      await other.setup();
      let places = 0;
      for (const fate of ["unsent", "unanswered"] as const) {
        for (let place = 0, reached = true; reached; place += 1) {
          const scope = { application: `${fate}-${place}`, streamName: "orders" };
          const { pool, watch } = await watched(ownPool({ ...options, connectionLimit: 1 }));
          const frozen = openStore({ pool, timeoutMs: 600_000 });
          await frozen.joinWorker(scope, FROZEN);
          const more = [NEXT, DONE].map((shardId) => ({ shardId, lineage: "{}" }));
          await frozen.putShards(scope, [...ROWS, ...more]);
          const held = await frozen.acquireLeases(scope, FROZEN, IDS);
          await frozen.setCheckpoints(scope, flushOf(held, 1));

          reached = false;
          let sent = 0;
          const stopped = new Promise<void>((resolve) => {
            watch(() => {
              if (sent++ < place) return "sent";
              reached = true;
              resolve();
              return fate;
            });
          });
          // It ends with its store: the process would be gone.
          const calling = call(frozen, scope, held).catch((error: unknown) => {
            expect(error).toMatchObject(CLOSED);
          });
          await Promise.race([stopped, calling]);
          if (!reached) continue;
          places += 1;
          await expectOthersGoOn(other, scope);
        }
      }
      expect(places, "places at which it stood still").toBeGreaterThan(1);
    },
    120_000,
  );
});

async function expectOthersGoOn(other: MysqlStore, scope: StoreScope): Promise<void> {
  await other.joinWorker(scope, OTHER);
  // The server may take the frozen worker's last message between a look and the eviction.
  for (let silent: readonly WorkerRow[] = []; ;) {
    for (const each of silent) await other.evictWorker(scope, each);
    const { workers } = await other.listWorkers(scope);
    silent = workers.filter(({ workerId }) => workerId !== OTHER.workerId);
    if (silent.length === 0) break;
  }
  const claimed = await other.acquireLeases(scope, OTHER, [...IDS, NEXT]);
  expect(claimed.map(({ shardId }) => shardId)).toStrictEqual([...IDS, NEXT]);
  const answers = await other.setCheckpoints(scope, flushOf(claimed, 3));
  expect(new Set(answers.map(({ outcome }) => outcome))).toStrictEqual(new Set(["written"]));
  expect(await other.releaseLeases(scope, claimed)).toHaveLength(claimed.length);
  await other.removeShards(scope, [DONE]);
  await other.putShards(scope, [
    { shardId: shard(7), lineage: "{}" },
    { shardId: NEXT, lineage: "later", replaces: "{}" },
  ]);
  await other.resetCheckpoint(scope, IDS[0]!, at(0));
  await other.leaveWorker(scope, OTHER);
}
