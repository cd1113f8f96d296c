import {
  type Consumer,
  MemoryStore,
  MemoryStoreData,
  type CallOptions,
  type ConsumerRecord,
  type MemoryTransaction,
  type OwnTransactionContext,
  type StoreScope,
  type TransactionalWrite,
  type TransactionContext,
  type TransactionHandler,
  type TransactionOptions,
  type TransactionResult,
} from "../../src/index.ts";
import { STREAM, World, type AnyOptions, type Run } from "./world.ts";

export const SHARD = "shardId-000000000000";
export const SCOPE: StoreScope = { application: "billing", streamName: STREAM };

/** A stream of one shard with a record of each text, all of one key, and their sequence numbers. */
export async function worldWith(
  ...texts: string[]
): Promise<World & { readonly numbers: string[] }> {
  const world = await World.of();
  return Object.assign(world, { numbers: await world.put("a", ...texts) });
}

type Work<Value> = (tx: MemoryTransaction) => Value | PromiseLike<Value>;

/** A database that keeps effects beside its checkpoints. Its transactions can be disturbed. */
export class Database {
  readonly data = new MemoryStoreData();
  readonly effects: string[] = [];

  /** Stores the texts of the records by the transaction. */
  apply(tx: MemoryTransaction, records: readonly ConsumerRecord[]): void {
    for (const record of records) {
      const text = record.text();
      tx.add(() => this.effects.push(text));
    }
  }

  stored(): Promise<unknown> {
    return new MemoryStore({ data: this.data }).getCheckpoint(SCOPE, SHARD);
  }

  async numberStored(): Promise<string | undefined> {
    return (await new MemoryStore({ data: this.data }).getCheckpoint(SCOPE, SHARD))?.sequenceNumber;
  }

  open(): WatchedStore {
    return new WatchedStore(this.data);
  }
}

/** What happens at the points of a transaction; it may throw, or never resolve. */
export interface Disturbances {
  begin?: () => Promise<unknown>;
  beforeCommit?: () => Promise<unknown>;
  afterCommit?: () => Promise<unknown>;
}

export class WatchedStore extends MemoryStore {
  readonly disturbances: Disturbances = {};
  readonly transactions: TransactionalWrite[] = [];
  checkpointWrites = 0;

  constructor(data: MemoryStoreData) {
    super({ data });
  }

  override async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: Work<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    const { disturbances } = this;
    this.transactions.push(write);
    await disturbances.begin?.();
    const watched = async (tx: MemoryTransaction): Promise<Value> => {
      const value = await work(tx);
      await disturbances.beforeCommit?.();
      return value;
    };
    const result = await super.transact(scope, write, watched, options);
    if (result.outcome === "committed") await disturbances.afterCommit?.();
    return result;
  }

  override setCheckpoints(
    ...call: Parameters<MemoryStore["setCheckpoints"]>
  ): ReturnType<MemoryStore["setCheckpoints"]> {
    this.checkpointWrites += call[1].length;
    return super.setCheckpoints(...call);
  }
}

export type Transactional = TransactionHandler<TransactionContext<MemoryTransaction>>;
export type OwnTransactional = TransactionHandler<OwnTransactionContext<MemoryTransaction>>;

/** The handler that stores its records' texts. */
export const storing = (database: Database): Transactional => {
  return (records, { tx }) => database.apply(tx, records);
};

/** A consumer of the world's stream, typed by its store. */
export function consumerOn(
  world: World,
  store: WatchedStore,
  own: AnyOptions = {},
): Consumer<WatchedStore> {
  const options = { store, start: "TRIM_HORIZON", ...own } as const;
  return world.consumer(options) as Consumer<WatchedStore>;
}

/** Scans in transactions. Each call of the handler is noted, as `texts:attempt`. */
export async function transacting(
  world: World,
  store: WatchedStore,
  handler: Transactional,
  options: TransactionOptions<never> = {},
  own: AnyOptions = {},
): Promise<Run & { readonly calls: string[] }> {
  const calls: string[] = [];
  const consumer = consumerOn(world, store, own);
  const noted: Transactional = (records, context) => {
    calls.push(`${records.map((record) => record.text()).join(" ")}:${context.attempt}`);
    return handler(records, context);
  };
  const run = await world.runScan(consumer, ({ signal }) =>
    consumer.scanTransaction(noted, {
      ...(options as TransactionOptions<unknown>),
      transaction: "store",
      signal,
    }),
  );
  return Object.assign(run, { calls });
}
