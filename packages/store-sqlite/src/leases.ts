import {
  ownerOf,
  type AcquiredLease,
  type Fence,
  type LeaseRow,
  type LeaseStore,
  type ShardPut,
  type StoreScope,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import type { Session, SqliteValue } from "./database.ts";
import * as sql from "./lease-statements.ts";
import { checkpointOf, leaseOf, workerOf } from "./rows.ts";
import { READ_SHARDS } from "./statements.ts";

type Answer<Name extends keyof LeaseStore> = LeaseStore[Name] extends (
  ...parameters: never[]
) => Promise<infer Result>
  ? Result
  : never;

/**
 * Workers and leases of one scope. Whatever changes something runs within one write transaction: of
 * all processes one is in it at a time, so that it can look first and write then.
 */
export class SqliteLeases {
  readonly #session: Session;
  readonly #scope: readonly [string, string];

  constructor(session: Session, { application, streamName }: StoreScope) {
    this.#session = session;
    this.#scope = [application, streamName];
  }

  join(worker: WorkerMembership): Answer<"joinWorker"> {
    const { workerId, incarnation, weight, maxShards } = worker;
    const [standing] = this.#query(sql.READ_WORKER, workerId);
    if (standing === undefined) {
      this.#query(sql.PUT_WORKER, workerId, incarnation, weight, maxShards ?? null);
      return { outcome: "joined", revision: this.changed() };
    }
    if (standing["incarnation"] === incarnation) {
      return { outcome: "joined", revision: this.#revision() };
    }
    return { outcome: "duplicate", incarnation: String(standing["incarnation"]) };
  }

  beat({ workerId, incarnation }: WorkerIdentity): Answer<"heartbeat"> {
    const [row] = this.#query(sql.BEAT, workerId, incarnation);
    if (row === undefined) return { outcome: "evicted" };
    return { outcome: "alive", counter: Number(row["counter"]), revision: this.#revision() };
  }

  /** The revision first: it must not be newer than the rows. */
  listWorkers(): Answer<"listWorkers"> {
    const revision = this.#revision();
    return { revision, workers: this.#query(sql.READ_WORKERS).map(workerOf) };
  }

  evict(worker: WorkerIdentity & { readonly counter: number }): Answer<"evictWorker"> {
    const { workerId, incarnation, counter } = worker;
    if (this.#query(sql.EVICT_WORKER, workerId, incarnation, counter).length > 0) {
      this.changed();
      return "evicted";
    }
    const [standing] = this.#query(sql.READ_WORKER, workerId);
    return standing?.["incarnation"] === incarnation ? "moved" : "gone";
  }

  leave({ workerId, incarnation }: WorkerIdentity): void {
    if (this.#query(sql.REMOVE_WORKER, workerId, incarnation).length > 0) this.changed();
  }

  put(shards: readonly ShardPut[]): void {
    const unseen = shards.filter(({ replaces }) => replaces === undefined);
    const seen = shards.filter(({ replaces }) => replaces !== undefined);
    const rows = (puts: readonly ShardPut[]): string =>
      JSON.stringify(puts.map(({ shardId, lineage, replaces }) => [shardId, lineage, replaces]));
    let changes = 0;
    if (unseen.length > 0) changes += this.#query(sql.MAKE_LEASES, rows(unseen)).length;
    if (seen.length > 0) {
      const values = [rows(seen), ...this.#scope];
      changes += this.#session.query(sql.REPLACE_LINEAGES, values).length;
    }
    if (changes > 0) this.changed();
  }

  listLeases(): Answer<"listLeases"> {
    const revision = this.#revision();
    const leases = this.#query(sql.READ_LEASES).map((row): LeaseRow => {
      const checkpoint = checkpointOf(row);
      const [shardId, lineage] = [String(row["shard_id"]), String(row["lineage"])];
      return { shardId, ...leaseOf(row), checkpoint, lineage };
    });
    return { revision, leases };
  }

  acquire(worker: WorkerIdentity, shardIds: readonly string[]): readonly AcquiredLease[] {
    const [standing] = this.#query(sql.READ_WORKER, worker.workerId);
    if (standing?.["incarnation"] !== worker.incarnation) return [];
    const owner = ownerOf(worker);
    const ids = JSON.stringify(shardIds);
    const claimed = this.#session.query(sql.CLAIM, [owner, ...this.#scope, ids]);
    if (claimed.length > 0) this.changed();
    return this.#query(READ_SHARDS, ids)
      .filter((row) => row["owner"] === owner)
      .map((row) => ({
        shardId: String(row["shard_id"]),
        fence: { epoch: leaseOf(row).epoch, owner },
        checkpoint: checkpointOf(row),
      }));
  }

  release(leases: readonly { readonly shardId: string; readonly fence: Fence }[]): string[] {
    const held = leases.map(({ shardId, fence: { epoch, owner } }) => [shardId, epoch, owner]);
    const released = this.#session.query(sql.RELEASE, [JSON.stringify(held), ...this.#scope]);
    if (released.length > 0) this.changed();
    return released.map((row) => String(row["shard_id"]));
  }

  remove(shardIds: readonly string[]): void {
    const removed = this.#query(sql.REMOVE_SHARDS, JSON.stringify(shardIds));
    if (removed.length > 0) this.changed();
  }

  #query(statement: string, ...values: readonly SqliteValue[]) {
    return this.#session.query(statement, [...this.#scope, ...values]);
  }

  #revision(): number {
    return Number(this.#query(sql.READ_REVISION)[0]?.["revision"] ?? 0);
  }

  /** A worker came or went, or a lease's row has changed. Answers with the new revision. */
  changed(): number {
    return Number(this.#query(sql.NEXT_REVISION)[0]!["revision"]);
  }
}
