import { KcError, type CallOptions, type StoreScope } from "@kc/core";
import { namespaceOf } from "@kc/core/adapter";
import type { Connection, Lane } from "./connection.ts";
import type { Session } from "./driver.ts";
import { isDuplicate } from "./errors.ts";
import { raiseRevision } from "./lease-statements.ts";
import { readSnapshot, type Snapshot, type RowSelection } from "./snapshot.ts";
import { checkFit, type Touched } from "./name-checks.ts";
import { readCheckedSchema, type CheckedSchema } from "./schema.ts";
import type { Place, Tables } from "./sql.ts";

/** The maximum number of shards in one statement, which keeps it short. */
const SHARDS_AT_ONCE = 1000;

/** One call in flight: its connection, and the tables and namespace of its rows. */
export interface Call {
  readonly session: Session;
  readonly place: Place;
  readonly snapshot: (wanted: RowSelection) => Promise<Snapshot>;
  /** Runs a statement that changes workers or leases. Returns the number of changed rows. */
  readonly change: (sql: string) => Promise<number>;
  /**
   * Called if a change turns out to be done already, for instance by an abandoned call whose statement took effect
   * after the revision was raised. The revision is then raised once more.
   */
  readonly markRevisionPending: () => void;
  /** Raises the revision if something was changed. It runs at the call's end, if not before. */
  readonly raisePendingRevision: () => Promise<void>;
}

/** What all calls of a store share: the tables, the namespace, and the revision. */
export class Calls {
  readonly tables: Tables;
  readonly #connection: Connection;
  readonly #namespace: string | undefined;
  /** `undefined` until the schema has been checked. */
  #limits: CheckedSchema | undefined;
  /**
   * The namespaces with a change, or a possible change, whose revision was not raised yet, each with the last such
   * change. If a call is abandoned before it raises the revision, the next call does, a heartbeat for instance.
   */
  readonly #pendingRevisions = new Map<string, symbol>();

  constructor(connection: Connection, tables: Tables, namespace: string | undefined) {
    this.#connection = connection;
    this.tables = tables;
    this.#namespace = namespace;
  }

  /** As the connection's `run`, once the schema has been checked. */
  async run<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (call: Call) => Promise<Answer>,
    lane?: Lane,
  ): Promise<Answer> {
    const inSession = async (session: Session): Promise<Answer> => {
      this.#limits ??= await readCheckedSchema(session, this.tables);
      const call = this.#call(session, this.#placeOf(scope, touched, this.#limits), scope);
      const answer = await work(call);
      await call.raisePendingRevision();
      return answer;
    };
    return this.#forgetting(() => this.#connection.run(inSession, options, lane));
  }

  /** For work with a connection of its own, once the schema has been checked. */
  inPlace<Answer>(
    scope: StoreScope,
    touched: readonly Touched[],
    options: CallOptions | undefined,
    work: (place: Place) => Promise<Answer>,
  ): Promise<Answer> {
    return this.#forgetting(async () => {
      const read = (session: Session): Promise<CheckedSchema> =>
        readCheckedSchema(session, this.tables);
      this.#limits ??= await this.#connection.run(read, options);
      return work(this.#placeOf(scope, touched, this.#limits));
    });
  }

  #placeOf(scope: StoreScope, touched: readonly Touched[], limits: CheckedSchema): Place {
    const namespace = this.#namespace ?? namespaceOf(scope);
    checkFit(limits, namespace, touched);
    const { tables, asShardId, hasUserColumns } = limits;
    return { tables, namespace, asShardId, hasUserColumns };
  }

  async #forgetting<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      // The next call checks the schema again, and reports what is missing.
      if (KcError.is(error) && error.code === "STORE_SCHEMA") this.#limits = undefined;
      throw error;
    }
  }

  #call(session: Session, place: Place, scope: StoreScope): Call {
    const pendingRevisions = this.#pendingRevisions;
    const markRevisionPending = (): void =>
      void pendingRevisions.set(place.namespace, Symbol("change"));
    return {
      session,
      place,
      snapshot: (wanted) => readSnapshot(session, place, scope, wanted),
      change: async (sql) => {
        try {
          const changed = await session.write(sql);
          if (changed > 0) markRevisionPending();
          return changed;
        } catch (error) {
          if (!isDuplicate(error)) markRevisionPending();
          throw error;
        }
      },
      markRevisionPending,
      raisePendingRevision: async () => {
        const last = pendingRevisions.get(place.namespace);
        if (last === undefined) return;
        await session.write(raiseRevision(place));
        // The other lane may have made a change since, which may be later than this revision.
        if (pendingRevisions.get(place.namespace) === last)
          pendingRevisions.delete(place.namespace);
      },
    };
  }
}

/** The items sorted in the order of locks, in parts that fit into one statement. Each shard is in a part once. */
export function* inParts<Item extends { readonly shardId: string }>(
  items: readonly Item[],
): Generator<readonly Item[]> {
  const sorted = items.toSorted((a, b) => compareText(a.shardId, b.shardId));
  let part: Item[] = [];
  for (const item of sorted) {
    if (part.length === SHARDS_AT_ONCE || part.at(-1)?.shardId === item.shardId) {
      yield part;
      part = [];
    }
    part.push(item);
  }
  if (part.length > 0) yield part;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
