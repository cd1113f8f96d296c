import {
  KcError,
  LeaseLostError,
  namespaceOf,
  singleResult,
  writeOutcome,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type SetCheckpointResult,
  type ShardLease,
  type Store,
  type StoreCapabilities,
  type StoreScope,
} from "@kc/core";
import { Connection } from "./connection.ts";
import type { MysqlRow, Session } from "./database.ts";
import { isDuplicate } from "./errors.ts";
import type { Limits } from "./inspection.ts";
import { checkFit, type Touched } from "./names.ts";
import { checkOptions, type MysqlStoreOptions } from "./options.ts";
import {
  applicationOf,
  applicationValues,
  checkPlace,
  checkpointsOf,
  columnsOf,
  leaseOf,
  textOf,
} from "./rows.ts";
import { migrate, readLimits } from "./schema.ts";
import * as sql from "./statements.ts";

/** Shards of one transaction: it is to stay short. */
const SHARDS_AT_ONCE = 1000;

/**
 * Progress in MySQL or MariaDB, in a table of the Go library's or one of its own.
 *
 * Whoever changes a shard first locks its row in the lease table, which is there for every shard that
 * was ever written: so a write, a claim and a reset of one shard come one after another.
 */
export class MysqlStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
  };
  readonly #connection: Connection;
  readonly #tables: sql.Tables;
  readonly #namespace: string | undefined;
  /** Undefined until the schema has been seen to be right. */
  #limits: Limits | undefined;

  /** Opens no connection: the first call does. @throws ConfigError if an option is wrong. */
  constructor(options: MysqlStoreOptions) {
    const checked = checkOptions(options);
    this.#connection = new Connection(checked);
    this.#tables = sql.tablesOf(checked.table, checked.database);
    this.#namespace = checked.namespace;
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, this.#tables), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#run(scope, [], options, async (session, namespace) => {
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
    return this.#run(scope, [{ shardId }], options, async (session, namespace) => {
      const found = checkpointsOf(await this.#read(session, scope, namespace, [shardId]));
      return found.get(shardId)?.checkpoint;
    });
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#run(scope, [], options, async (session, namespace) => {
      const found = checkpointsOf(await this.#read(session, scope, namespace));
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
    const sorted = [...writes.entries()].toSorted(([, a], [, b]) =>
      compareText(a.shardId, b.shardId),
    );
    for (let start = 0; start < sorted.length; start += SHARDS_AT_ONCE) {
      const some = sorted.slice(start, start + SHARDS_AT_ONCE);
      const answers = await this.#advance(
        scope,
        some.map(([, write]) => write),
        options,
      );
      some.forEach(([index], i) => (results[index] = answers[i]!));
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
    await this.#locked(scope, touched, options, async (session, namespace, leases) => {
      const { owner } = leases.get(shardId)!;
      if (owner !== undefined && options?.force !== true) {
        throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
      }
      await this.#read(session, scope, namespace, [shardId]);
      await session.query(sql.deleteCheckpoint(this.#tables, namespace, shardId));
      if (to) {
        const row = columnsOf(shardId, to, undefined);
        await session.query(sql.writeCheckpoints(this.#tables, namespace, [row]));
      }
      await session.query(sql.raiseEpoch(this.#tables, namespace, shardId));
    });
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
    return this.#locked(scope, writes, options, async (session, namespace, leases) => {
      const rowsBefore = await this.#read(session, scope, namespace, [...leases.keys()]);
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

  /** Runs `work` in a transaction that holds the shards' locks. */
  #locked<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (
      session: Session,
      namespace: string,
      leases: ReadonlyMap<string, ShardLease>,
    ) => Promise<Answer>,
  ): Promise<Answer> {
    const shardIds = [...new Set(touched.map(({ shardId }) => shardId))];
    return this.#run(scope, touched, options, async (session, namespace) => {
      for (;;) {
        const leases = new Map<string, ShardLease>();
        const done = await session.transaction(async () => {
          for (const row of await session.query(
            sql.lockShards(this.#tables, namespace, shardIds),
          )) {
            leases.set(textOf(row["shard_id"])!, leaseOf(row));
          }
          return leases.size === shardIds.length
            ? { answer: await work(session, namespace, leases) }
            : undefined;
        });
        if (done) return done.answer;
        const missing = shardIds.filter((shardId) => !leases.has(shardId));
        await session.query(sql.addShards(this.#tables, namespace, missing));
      }
    });
  }

  async #read(
    session: Session,
    scope: StoreScope,
    namespace: string,
    shardIds?: readonly string[],
  ): Promise<readonly MysqlRow[]> {
    const rows = await session.query(sql.readCheckpoints(this.#tables, namespace, shardIds));
    checkPlace(rows, scope, namespace);
    return rows;
  }

  /** As the connection's `run`, once the schema is known to be right. */
  async #run<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (session: Session, namespace: string) => Promise<Answer>,
  ): Promise<Answer> {
    const namespace = this.#namespace ?? namespaceOf(scope);
    try {
      return await this.#connection.run(async (session) => {
        this.#limits ??= await readLimits(session, this.#tables);
        checkFit(this.#limits, namespace, touched);
        return work(session, namespace);
      }, options);
    } catch (error) {
      // The next call looks again, and says what is missing.
      if (KcError.is(error) && error.code === "STORE_SCHEMA") this.#limits = undefined;
      throw error;
    }
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
