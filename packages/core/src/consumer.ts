import { ConfigError, KcError } from "./errors.ts";
import {
  isTransactionalStore,
  type TransactionalStore,
} from "./checkpoints/transactional-store.ts";
import type { LeaseStore } from "./checkpoints/lease-store.ts";
import type { Store } from "./checkpoints/store.ts";
import type { AnyGroup } from "./groups/group.ts";
import { OneShard } from "./groups/one-shard.ts";
import type {
  BatchHandler,
  Handler,
  OwnTransactionContext,
  TransactionContext,
  TransactionHandler,
} from "./handler.ts";
import type { ConsumerOptions, LeasingConsumerOptions } from "./options/consumer-options.ts";
import { resolveOptions, type ResolvedOptions } from "./options/resolve-options.ts";
import type { ConsumerRecord } from "./record.ts";
import {
  checkScanOptions,
  checkShardIds,
  checkThresholds,
  type ScanOptions,
} from "./options/scan-options.ts";
import { batches } from "./delivery/batches/batches.ts";
import type { LetterSource } from "./delivery/letters/dead-letter.ts";
import { deliveryOf } from "./delivery/delivery-of.ts";
import type { OpenDelivery } from "./delivery/delivery.ts";
import { oneByOne } from "./delivery/one-by-one.ts";
import { Pauses } from "./delivery/pauses.ts";
import { RecordIterator } from "./delivery/record-iterator.ts";
import type {
  AnyTransactionHandler,
  TransactionPlace,
} from "./delivery/transactions/transaction.ts";
import { transactions } from "./delivery/transactions/transactions.ts";
import type {
  BatchOptions,
  DeliveryOptions,
  TransactionOptions,
} from "./options/delivery-options.ts";
import {
  resolveBatches,
  resolveDelivery,
  resolveTransactions,
} from "./options/resolve-delivery.ts";
import { Scan, type ScanStatus } from "./scan/scan.ts";
import { ownClient, warnOfClosedConnections } from "./kinesis/connections.ts";
import type { KinesisClientLike } from "./kinesis/kinesis-client-like.ts";
import type { ConsumerEvent } from "./telemetry/events.ts";
import { healthOf, type Health, type HealthThresholds } from "./telemetry/health.ts";
import type { ConsumerStatus } from "./telemetry/status.ts";

const IDLE: ScanStatus = {
  state: "idle",
  stage: undefined,
  shards: [],
  failingCalls: [],
  bufferedBytes: 0,
  pollDelayMs: 0,
};

/** Reads a Kinesis data stream. Runs one scan at a time; the next scan continues where the last one stopped. */
export class Consumer<out S extends Store = Store> {
  readonly #options: ResolvedOptions;
  /** The store as the caller passed it. `ResolvedOptions.store` may wrap it. */
  readonly #store: Store | undefined;
  readonly #pauses = new Pauses();
  #scanning = false;
  #current: Scan | undefined;
  /** By shard: settles when a handler that an earlier scan abandoned has returned. */
  readonly #unfinished = new Map<string, Promise<unknown>>();
  #warned = false;

  /** @throws ConfigError that names the option */
  constructor(options: ConsumerOptions<S> | LeasingConsumerOptions<S & LeaseStore>) {
    this.#options = resolveOptions(options);
    this.#store = options.store;
  }

  /**
   * Calls the handler for every record of every shard that the group assigns to this process. Records of a shard
   * are handled in order; with `concurrency`, records of a key are handled in order. If the handler fails, the
   * scan ends, unless `retry` and `onFailure` say otherwise.
   *
   * Resolves once the signal has aborted, running handlers have returned, and checkpoints are flushed.
   * @throws KcError the first error that retries cannot fix; SCAN_ACTIVE if a scan is already running
   * @throws DrainTimeoutError if stopping takes longer than `drainTimeoutMs`
   * @throws ConfigError for a wrong option
   */
  async scan<Value = undefined>(
    handler: Handler<Value>,
    options: DeliveryOptions<Value> = {},
  ): Promise<void> {
    return this.#deliver(this.#options.group, handler, options);
  }

  /**
   * Calls the handler with batches of records. Each batch holds records of one shard. A batch is delivered when
   * it is full, when its first record has waited for `maxWaitMs`, or when the shard ends. Otherwise like `scan`.
   */
  async scanBatch<Value = undefined>(
    handler: BatchHandler<Value>,
    options: BatchOptions<Value> = {},
  ): Promise<void> {
    const policy = resolveBatches(options);
    checkHandler(handler);
    const open = batches(handler as BatchHandler, policy, this.#source);
    return this.#scan(this.#options.group, open, policy.signal);
  }

  /**
   * Calls the handler with batches of records, and commits each batch and its checkpoint in one transaction of
   * the store: what the handler writes in that transaction is stored exactly once. Each shard has one transaction
   * at a time. Otherwise like `scanBatch`.
   *
   * By default the store opens the transaction and passes it to the handler as `context.tx`. With `transaction:
   * "handler"`, the handler opens it with its own library and calls `context.checkpoint` as the last statement.
   *
   * @throws ConfigError if the store has no transactions
   */
  async scanTransaction<Tx, Value = undefined>(
    this: Consumer<TransactionalStore<Tx>>,
    handler: TransactionHandler<TransactionContext<Tx>, Value>,
    options?: TransactionOptions<Value> & { readonly transaction?: "store" },
  ): Promise<void>;
  async scanTransaction<Executor, Value = undefined>(
    this: Consumer<OwnTransactionalStore<Executor>>,
    handler: TransactionHandler<OwnTransactionContext<Executor>, Value>,
    options: TransactionOptions<Value> & { readonly transaction: "handler" },
  ): Promise<void>;
  async scanTransaction(
    this: Consumer,
    handler: unknown,
    options: TransactionOptions<unknown> = {},
  ): Promise<void> {
    const policy = resolveTransactions(options);
    checkHandler(handler);
    const place = this.#place(policy.transaction);
    const open = transactions(handler as AnyTransactionHandler, policy, place, this.#source);
    return this.#scan(this.#options.group, open, policy.signal);
  }

  /** Like `scan`, for one shard, even if its parents were not read. Also resolves at the end of the shard. */
  async scanShard<Value = undefined>(
    shardId: string,
    handler: Handler<Value>,
    options: DeliveryOptions<Value> = {},
  ): Promise<void> {
    if (typeof shardId !== "string" || shardId === "") {
      throw new ConfigError("shardId", "must be the id of a shard");
    }
    return this.#deliver(new OneShard(shardId), handler, options);
  }

  /**
   * Iterates over the records of every shard with `for await`. Asking for the next record acknowledges the
   * current one. `break` and `throw` do not acknowledge it; the scan has stopped when the loop ends.
   */
  records(options: ScanOptions = {}): AsyncGenerator<ConsumerRecord, void, undefined> {
    const { signal } = checkScanOptions(options);
    const { clock, group } = this.#options;
    return new RecordIterator(
      (handler, stop, loop) => this.#scan(group, oneByOne(handler, loop), stop),
      clock,
      signal,
    );
  }

  /** Returns a snapshot of what the consumer is doing now. */
  status(): ConsumerStatus {
    const { scope, telemetry } = this.#options;
    return {
      stream: scope.streamName,
      application: scope.application,
      droppedMetrics: telemetry.dropped,
      ...(this.#current?.status() ?? IDLE),
    };
  }

  /**
   * Iterates over status changes from now on, across scans, until the signal aborts or the loop ends. Up to 1,000
   * events are buffered; further ones are dropped, and an `events-missed` event reports their number.
   */
  events(options: ScanOptions = {}): AsyncIterableIterator<ConsumerEvent> {
    return this.#options.telemetry.feed.read(checkScanOptions(options).signal);
  }

  /**
   * Pauses these shards: no further record is started until the returned function is called. Records in flight
   * are finished, leases are kept, checkpoints are flushed, and reading stops once the buffer is full. A pause
   * outlives the scan. A shard under several pauses resumes when all of them have ended.
   * @param shardIds the shards to pause. Default: all
   * @throws ConfigError
   */
  pause(shardIds?: readonly string[]): () => void {
    return this.#pauses.add(shardIds === undefined ? undefined : checkShardIds(shardIds));
  }

  /** Returns the health of the consumer, for a liveness or readiness probe. @throws ConfigError */
  health(thresholds: HealthThresholds = {}): Health {
    return healthOf(this.status(), checkThresholds(thresholds));
  }

  /** @throws ConfigError if the store cannot run such transactions */
  #place(transaction: "store" | "handler"): TransactionPlace {
    const { store, scope } = this.#options;
    const given = this.#store;
    if (given === undefined || !isTransactionalStore(store)) {
      throw new ConfigError(
        "store",
        "scanTransaction needs a store with transactions, such as PostgresStore: see TransactionalStore",
      );
    }
    if (transaction === "handler" && typeof store.checkpointIn !== "function") {
      throw new ConfigError(
        "transaction",
        `this store cannot take part in a transaction that is opened elsewhere: leave out "handler"`,
      );
    }
    return { store, scope, given };
  }

  async #deliver<Value>(
    group: AnyGroup,
    handler: Handler<Value>,
    options: DeliveryOptions<Value>,
  ): Promise<void> {
    const policy = resolveDelivery(options);
    checkHandler(handler);
    return this.#scan(group, deliveryOf(handler as Handler, policy, this.#source), policy.signal);
  }

  /** The fields that all dead letters of this consumer share. */
  get #source(): LetterSource {
    const { scope, streamId } = this.#options;
    const { application, streamName } = scope;
    const streamARN = "StreamARN" in streamId ? streamId.StreamARN : undefined;
    return { application, streamName, streamARN };
  }

  async #scan(
    group: AnyGroup,
    openDelivery: OpenDelivery,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#scanning) {
      throw new KcError(
        "SCAN_ACTIVE",
        "this consumer has a scan under way: create another consumer for a second scan",
      );
    }
    this.#scanning = true;
    this.#warnOnce();
    try {
      const { client } = this.#options;
      await (client === undefined
        ? withOwnClient((own) => this.#run(this.#scanOf(own, openDelivery), group, signal))
        : this.#run(this.#scanOf(client, openDelivery), group, signal));
    } finally {
      this.#scanning = false;
      this.#current = undefined;
    }
  }

  #scanOf(client: KinesisClientLike, openDelivery: OpenDelivery): Scan {
    return new Scan(this.#options, client, openDelivery, this.#unfinished, this.#pauses);
  }

  #run(scan: Scan, group: AnyGroup, signal: AbortSignal | undefined): Promise<void> {
    this.#current = scan;
    return scan.run(group, signal).finally(() => this.#keepUnfinished(scan));
  }

  #keepUnfinished(scan: Scan): void {
    for (const [shardId, idle] of scan.unfinished) {
      this.#unfinished.set(shardId, idle);
      void idle.then(() => {
        if (this.#unfinished.get(shardId) === idle) this.#unfinished.delete(shardId);
      });
    }
  }

  #warnOnce(): void {
    if (this.#warned) return;
    this.#warned = true;
    const { client, keepsProgress, telemetry } = this.#options;
    if (!keepsProgress) {
      telemetry.warn("no store: progress is kept in memory, and is lost when the process ends");
    }
    if (client !== undefined) {
      void warnOfClosedConnections(client, (message) => telemetry.warn(message));
    }
  }
}

/** A store that can write its checkpoint in a transaction that the user's code opened. */
type OwnTransactionalStore<Executor> = TransactionalStore<unknown, Executor> &
  Required<Pick<TransactionalStore<unknown, Executor>, "checkpointIn">>;

async function withOwnClient(use: (client: KinesisClientLike) => Promise<void>): Promise<void> {
  const client = ownClient();
  try {
    await use(client);
  } finally {
    client.destroy();
  }
}

function checkHandler(handler: unknown): void {
  if (typeof handler !== "function") throw new ConfigError("handler", "must be a function");
}
