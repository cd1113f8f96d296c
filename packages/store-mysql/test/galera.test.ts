import { setImmediate as turn } from "node:timers/promises";
import {
  KcError,
  type CheckpointWrite,
  type Position,
  type StoreScope,
  type WorkerMembership,
} from "@kc/core";
import { NoGaleraError, startGalera, type GaleraCluster } from "@kc-internal/test-services";
import { leaseStoreRound } from "@kc/conformance";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MysqlStore } from "../src/index.ts";
import { at, expectFailure, SCOPE, shard, UNAVAILABLE, WORKER, writeOf } from "./support/store.ts";
import { until } from "./support/until.ts";

const cluster = await startGalera().catch((error: unknown) => {
  if (error instanceof NoGaleraError) return error;
  throw error;
});
if (cluster instanceof NoGaleraError) {
  console.warn(`\n  Galera is NOT tried: ${cluster.message}\n`, cluster.cause);
}

const A: WorkerMembership = { ...WORKER, workerId: "a" };
const B: WorkerMembership = { ...WORKER, workerId: "b" };
const DATABASE = "kc_galera";
const ROUNDS = 120;

describe("two nodes of a Galera cluster", { skip: cluster instanceof NoGaleraError }, () => {
  const { nodes } = cluster as GaleraCluster;
  let first: MysqlStore;
  let second: MysqlStore;
  let behind: Connection;

  /** From now on, reads at the second node see all that was committed at any node before. */
  const caughtUp = () => behind.query("SELECT 1");

  beforeAll(async () => {
    const admin = await createConnection(nodes[0].uri);
    await admin.query(`CREATE DATABASE ${DATABASE}`);
    await admin.end();
    const stores = nodes.map((node) => new MysqlStore({ connection: `${node.uri}/${DATABASE}` }));
    [first, second] = stores as [MysqlStore, MysqlStore];
    behind = await createConnection(nodes[1].uri);
    await behind.query("SET SESSION wsrep_sync_wait = 1");
    await first.setup();
    await caughtUp();
  });

  afterAll(async () => {
    behind?.destroy();
    for (const store of [first, second]) await store?.[Symbol.asyncDispose]();
    await (cluster as GaleraCluster)[Symbol.asyncDispose]?.();
  });

  it("do all that a store does, at one node and at the other", async () => {
    await leaseStoreRound(first, { ...SCOPE, application: "at-first" });
    await leaseStoreRound(second, { ...SCOPE, application: "at-second" });
  });

  it("let a read at the other node see what was acknowledged before, with wsrep_sync_wait", async () => {
    const scope = { ...SCOPE, application: "fail-over" };
    const admin = await createConnection(nodes[1].uri);
    await admin.query("SET GLOBAL wsrep_sync_wait = 1");
    const elsewhere = new MysqlStore({ connection: `${nodes[1].uri}/${DATABASE}` });
    for (let n = 0; n < 50; n++) {
      await first.setCheckpoint(scope, writeOf(at(n)));
      expect((await elsewhere.getCheckpoints(scope)).get(shard(0))).toStrictEqual(at(n));
    }
    await elsewhere[Symbol.asyncDispose]();
    await admin.query("SET GLOBAL wsrep_sync_wait = 0");
    await admin.end();
  });

  /** A worker at the first node writes while its shard is claimed at the second one. */
  async function race(scope: StoreScope, shardId: string, hasCheckpoint: boolean) {
    const fence = await claimedByFirst(scope, shardId);
    if (hasCheckpoint) await first.setCheckpoint(scope, { ...writeOf(at(1), shardId), fence });
    await caughtUp();
    await second.evictWorker(scope, { ...A, incarnation: shardId, counter: 0 });
    const late: CheckpointWrite = { ...writeOf(at(2), shardId), fence };
    const write = () =>
      first.setCheckpoint(scope, late).then(
        () => "written",
        (error: unknown) => (KcError.is(error) ? error.code : String(error)),
      );
    const claim = () => second.acquireLeases(scope, B, [shardId]);
    // On a fast machine the write wins whenever it begins first: one claim in ten is over before it.
    const early = Math.random() < 0.1 ? await claim() : undefined;
    const writing = write();
    for (let turns = Math.random() * 40; turns > 0; turns--) await turn();
    const [claimed] = early ?? (await claim());
    const outcome = await writing;
    await caughtUp();
    return { outcome, claimed, stands: await second.getCheckpoint(scope, shardId) };
  }

  async function claimedByFirst(scope: StoreScope, shardId: string) {
    const worker = { ...A, incarnation: shardId };
    await first.joinWorker(scope, worker);
    await first.putShards(scope, [{ shardId, lineage: "{}" }]);
    const [held] = await first.acquireLeases(scope, worker, [shardId]);
    return held!.fence;
  }

  it(`decide ${ROUNDS} races of a claim at one node with a write at the other`, async () => {
    const scope = { ...SCOPE, application: "raced" };
    await second.joinWorker(scope, B);
    const outcomes = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const { outcome, claimed, stands } = await race(scope, shard(round), true);
      outcomes.add(outcome);
      expect(stands, "what the claim answered stands").toStrictEqual(claimed?.checkpoint);
      expect(stands).toStrictEqual(outcome === "written" ? at(2) : at(1));
    }
    expect(outcomes).toStrictEqual(new Set(["written", "LEASE_LOST"]));
  });

  it("never lose a write of a shard that had no checkpoint, though it may come behind the claim", async () => {
    const scope = { ...SCOPE, application: "first-writes" };
    await second.joinWorker(scope, B);
    for (let round = 0; round < 30; round++) {
      const { outcome, claimed, stands } = await race(scope, shard(round), false);
      expect(claimed, "the claim goes through").toBeDefined();
      expect(stands).toStrictEqual(outcome === "written" ? at(2) : undefined);
    }
  });

  it("commit one of two transactions with the same record, and answer the other that it is done", async () => {
    const scope = { ...SCOPE, application: "transactions" };
    await behind.query(`CREATE TABLE ${DATABASE}.effects (name varchar(64)) ENGINE=InnoDB`);
    await caughtUp();
    for (let round = 0; round < 30; round++) {
      const shardId = shard(round % 3);
      const { sequenceNumber } = at(2 * round) as Position;
      const write = { shardId, from: { sequenceNumber }, checkpoint: at(2 * round + 1) };
      const run = async (store: MysqlStore): Promise<string> => {
        for (;;) {
          try {
            const insert = `INSERT INTO effects VALUES ('${round}')`;
            return (await store.transact(scope, write, (tx) => tx.query(insert))).outcome;
          } catch (error) {
            if (!KcError.is(error) || !error.retryable) throw error;
          }
        }
      };
      const answers = await Promise.all([run(first), run(second)]);
      expect(answers.toSorted()).toStrictEqual(["already-done", "committed"]);
      await caughtUp();
    }
    const [rows] = await behind.query<RowDataPacket[]>(
      `SELECT count(*) AS stored, count(DISTINCT name) AS names FROM ${DATABASE}.effects`,
    );
    expect(rows).toStrictEqual([{ stored: 30, names: 30 }]);
  });

  it("fail in passing at a node that has lost the other", async () => {
    await nodes[0].kill();
    const text = "it is joining its cluster, or failing over";
    // It waits some seconds for a sign of the other's life.
    await until("a refusal of the node that is left", async () => {
      const state = await second.getCheckpoints(SCOPE).then(() => "answered", String);
      return { done: state.includes(text), state };
    });
    await expectFailure(second.getCheckpoints(SCOPE), { ...UNAVAILABLE, text });
    await expectFailure(second.setCheckpoint(SCOPE, writeOf(at(1))), UNAVAILABLE);
  });
});
