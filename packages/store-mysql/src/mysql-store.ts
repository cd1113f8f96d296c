import {
  LeaseLostError,
  singleResult,
  writeOutcome,
  type AcquiredLease,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type Fence,
  type LeaseStore,
  type SetCheckpointResult,
  type ShardLineage,
  type StoreScope,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import { Calls, inParts } from "./calls.ts";
import { Connection } from "./connection.ts";
import { isDuplicate } from "./errors.ts";
import { raiseRevision } from "./lease-statements.ts";
import { Leases } from "./leases.ts";
import { checkOptions, type MysqlStoreOptions } from "./options.ts";
import { applicationOf, applicationValues, checkpointsOf, columnsOf } from "./rows.ts";
import { migrate } from "./schema.ts";
import * as sql from "./statements.ts";
import { Workers } from "./workers.ts";

/**
 * Progress and leases in MySQL or MariaDB, in a table of the Go library's or one of its own.
 *
 * Whoever changes a shard first locks its row in the lease table, which is there for every shard that
 * was ever written: so a write, a claim and a reset of one shard come one after another.
 */
export class MysqlStore implements LeaseStore {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
  };
  readonly #connection: Connection;
  readonly #tables: sql.Tables;
  readonly #calls: Calls;
  readonly #workers: Workers;
  readonly #leases: Leases;

  /** Opens no connection: the first call does. @throws ConfigError if an option is wrong. */
  constructor(options: MysqlStoreOptions) {
    const checked = checkOptions(options);
    this.#connection = new Connection(checked);
    this.#tables = sql.tablesOf(checked.table, checked.database);
    this.#calls = new Calls(this.#connection, this.#tables, checked.namespace);
    this.#workers = new Workers(this.#calls);
    this.#leases = new Leases(this.#calls);
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, this.#tables), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#calls.run(scope, [], options, async (session, namespace) => {
      for (;;) {
        const [found] = await session.query(sql.readApplication(this.#tables, namespace));
        if (found) return { outcome: "existing", row: applicationOf(found) };
        const put = sql.putApplication(this.#tables, namespace, applicationValues(row));
        try {
          await session.query(put);
          return { outcome: "created", row };
        } catch (error) {
          if (!isDuplicate(error)) throw error;
        }
      }
    });
  }

  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    return this.#calls.run(scope, [{ shardId }], options, async (session, namespace) => {
      const found = checkpointsOf(
        await this.#calls.readCheckpoints(session, scope, namespace, [shardId]),
      );
      return found.get(shardId)?.checkpoint;
    });
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#calls.run(scope, [], options, async (session, namespace) => {
      const found = checkpointsOf(await this.#calls.readCheckpoints(session, scope, namespace));
      return new Map([...found].map(([shardId, { checkpoint }]) => [shardId, checkpoint]));
    });
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const [result] = await this.setCheckpoints(scope, [write], options);
    return singleResult(write, result);
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    const results: BulkCheckpointResult[] = [];
    const numbered = writes.map((write, index) => ({ ...write, index }));
    for (const some of inParts(numbered)) {
      const answers = await this.#advance(scope, some, options);
      some.forEach(({ index }, i) => (results[index] = answers[i]!));
    }
    return results;
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    const touched = [{ shardId, checkpoint: to }];
    await this.#calls.locked(scope, touched, options, async (session, namespace, leases) => {
      const { owner } = leases.get(shardId)!;
      if (owner !== undefined && options?.force !== true) {
        throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
      }
      await this.#calls.readCheckpoints(session, scope, namespace, [shardId]);
      await session.query(sql.deleteCheckpoints(this.#tables, namespace, [shardId]));
      if (to) {
        const row = columnsOf(shardId, to, undefined);
        await session.query(sql.writeCheckpoints(this.#tables, namespace, [row]));
      }
      await session.query(sql.raiseEpoch(this.#tables, namespace, shardId));
      await session.query(raiseRevision(this.#tables, namespace));
    });
  }

  joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#workers.join(scope, worker, options);
  }

  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#workers.beat(scope, worker, options);
  }

  listWorkers(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listWorkers"]> {
    return this.#workers.list(scope, options);
  }

  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#workers.evict(scope, worker, options);
  }

  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void> {
    return this.#workers.leave(scope, worker, options);
  }

  putShards(
    scope: StoreScope,
    shards: readonly ShardLineage[],
    options?: CallOptions,
  ): Promise<void> {
    return this.#leases.put(scope, shards, options);
  }

  listLeases(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listLeases"]> {
    return this.#leases.list(scope, options);
  }

  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]> {
    return this.#leases.acquire(scope, worker, shardIds, options);
  }

  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return this.#leases.release(scope, leases, options);
  }

  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    return this.#leases.remove(scope, shardIds, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection.close();
  }

  /** Some writes in one transaction, sorted by shard. */
  #advance(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    return this.#calls.locked(scope, writes, options, async (session, namespace, leases) => {
      const rowsBefore = await this.#calls.readCheckpoints(session, scope, namespace, [
        ...leases.keys(),
      ]);
      const before = checkpointsOf(rowsBefore);
      const rows = new Map<string, sql.CheckpointColumns>();
      const results = writes.map((write) => {
        const { shardId, checkpoint } = write;
        const stored = before.get(shardId);
        const result = writeOutcome(write, leases.get(shardId)!, stored?.checkpoint);
        if (result.outcome === "written") {
          const row = columnsOf(shardId, checkpoint, stored);
          rows.set(shardId, row);
          before.set(shardId, { checkpoint, sequenceNumber: String(row.sequenceNumber) });
        }
        return result;
      });
      if (rows.size > 0) {
        await session.query(sql.writeCheckpoints(this.#tables, namespace, [...rows.values()]));
      }
      return results;
    });
  }
}
