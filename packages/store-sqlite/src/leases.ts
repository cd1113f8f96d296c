import {
  ownerOf,
  type AcquiredLease,
  type Fence,
  type LeaseRow,
  type LeaseStore,
  type ShardLineage,
  type StoreScope,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import type { Session, SqliteValue } from "./database.ts";
import * as sql from "./lease-statements.ts";
import { checkpointOf, leaseOf, workerOf } from "./rows.ts";
import { READ_SHARD } from "./statements.ts";

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
      return { outcome: "joined", revision: this.#changed() };
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
      this.#changed();
      return "evicted";
    }
    const [standing] = this.#query(sql.READ_WORKER, workerId);
    return standing?.["incarnation"] === incarnation ? "moved" : "gone";
  }

  leave({ workerId, incarnation }: WorkerIdentity): void {
    if (this.#query(sql.REMOVE_WORKER, workerId, incarnation).length > 0) this.#changed();
  }

  put(shards: readonly ShardLineage[]): void {
    const changed = shards.filter(
      ({ shardId, lineage }) => this.#query(sql.PUT_SHARD, shardId, lineage).length > 0,
    );
    if (changed.length > 0) this.#changed();
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
    const acquired: AcquiredLease[] = [];
    let claimed = 0;
    for (const shardId of shardIds) {
      claimed += this.#session.query(sql.CLAIM, [owner, ...this.#scope, shardId]).length;
      const [row] = this.#query(READ_SHARD, shardId);
      const lease = leaseOf(row);
      if (lease.owner !== owner) continue;
      const fence = { epoch: lease.epoch, owner };
      acquired.push({ shardId, fence, checkpoint: checkpointOf(row) });
    }
    if (claimed > 0) this.#changed();
    return acquired;
  }

  release(leases: readonly { readonly shardId: string; readonly fence: Fence }[]): string[] {
    const released = leases
      .filter(({ shardId, fence: { epoch, owner } }) => {
        return this.#query(sql.RELEASE, shardId, epoch, owner).length > 0;
      })
      .map(({ shardId }) => shardId);
    if (released.length > 0) this.#changed();
    return released;
  }

  remove(shardIds: readonly string[]): void {
    const removed = shardIds.filter((id) => this.#query(sql.REMOVE_SHARD, id).length > 0);
    if (removed.length > 0) this.#changed();
  }

  #query(statement: string, ...values: readonly SqliteValue[]) {
    return this.#session.query(statement, [...this.#scope, ...values]);
  }

  #revision(): number {
    return Number(this.#query(sql.READ_REVISION)[0]?.["revision"] ?? 0);
  }

  #changed(): number {
    return Number(this.#query(sql.NEXT_REVISION)[0]!["revision"]);
  }
}
