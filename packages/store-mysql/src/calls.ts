import { KcError, namespaceOf, type CallOptions, type ShardLease, type StoreScope } from "@kc/core";
import type { Connection, Lane } from "./connection.ts";
import type { MysqlRow, Session, TransactionOptions } from "./database.ts";
import type { Limits } from "./inspection.ts";
import { checkFit, type Touched } from "./names.ts";
import { checkPlace, leaseOf, textOf } from "./rows.ts";
import { readLimits } from "./schema.ts";
import * as sql from "./statements.ts";

/** Shards of one transaction: it is to stay short. */
const SHARDS_AT_ONCE = 1000;

/** What the calls of a store have in common: the tables, the namespace, and the locks of shards. */
export class Calls {
  readonly tables: sql.Tables;
  readonly #connection: Connection;
  readonly #namespace: string | undefined;
  /** Undefined until the schema has been seen to be right. */
  #limits: Limits | undefined;

  constructor(connection: Connection, tables: sql.Tables, namespace: string | undefined) {
    this.#connection = connection;
    this.tables = tables;
    this.#namespace = namespace;
  }

  /** Runs `work` in a transaction that holds the shards' locks. */
  locked<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (
      session: Session,
      namespace: string,
      leases: ReadonlyMap<string, ShardLease>,
    ) => Promise<Answer>,
    transaction?: TransactionOptions,
  ): Promise<Answer> {
    const shardIds = [...new Set(touched.map(({ shardId }) => shardId))];
    return this.run(scope, touched, options, async (session, namespace) => {
      for (;;) {
        const leases = new Map<string, ShardLease>();
        const done = await session.transaction(async () => {
          for (const row of await session.query(sql.lockShards(this.tables, namespace, shardIds))) {
            leases.set(textOf(row["shard_id"])!, leaseOf(row));
          }
          return leases.size === shardIds.length
            ? { answer: await work(session, namespace, leases) }
            : undefined;
        }, transaction);
        if (done) return done.answer;
        const missing = shardIds.filter((shardId) => !leases.has(shardId));
        await session.query(sql.addShards(this.tables, namespace, missing));
      }
    });
  }

  /** @throws NamespaceConflictError if another has the namespace. */
  async readCheckpoints(
    session: Session,
    scope: StoreScope,
    namespace: string,
    shardIds?: readonly string[],
  ): Promise<readonly MysqlRow[]> {
    const rows = await session.query(sql.readCheckpoints(this.tables, namespace, shardIds));
    checkPlace(rows, scope, namespace);
    return rows;
  }

  /** As the connection's `run`, once the schema is known to be right. */
  async run<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (session: Session, namespace: string) => Promise<Answer>,
    lane?: Lane,
  ): Promise<Answer> {
    const namespace = this.#namespace ?? namespaceOf(scope);
    try {
      return await this.#connection.run(
        async (session) => {
          this.#limits ??= await readLimits(session, this.tables);
          checkFit(this.#limits, namespace, touched);
          return work(session, namespace);
        },
        options,
        lane,
      );
    } catch (error) {
      // The next call looks again, and says what is missing.
      if (KcError.is(error) && error.code === "STORE_SCHEMA") this.#limits = undefined;
      throw error;
    }
  }
}

/** Sorted as locks are taken, in parts that one transaction handles. */
export function* inParts<Item extends { readonly shardId: string }>(
  items: readonly Item[],
): Generator<readonly Item[]> {
  const sorted = items.toSorted((a, b) => compareText(a.shardId, b.shardId));
  for (let start = 0; start < sorted.length; start += SHARDS_AT_ONCE) {
    yield sorted.slice(start, start + SHARDS_AT_ONCE);
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
