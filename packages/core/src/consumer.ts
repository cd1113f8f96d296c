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
import type { KinesisClientLike } from "./kinesis/stream-client.ts";
import type { ConsumerEvent } from "./telemetry/events.ts";
import { healthOf, type Health, type HealthThresholds } from "./telemetry/health.ts";
import type { ConsumerStatus } from "./telemetry/status.ts";

const IDLE: ScanStatus = {
  state: "idle",
  stage: undefined,
  shards: [],
  troubles: [],
  bufferedBytes: 0,
  pollDelayMs: 0,
};

/**
 * Reads a Kinesis data stream. It runs one scan at a time. After a scan has ended it can scan again, and
 * continues where it stopped.
 */
export class Consumer<out S extends Store = Store> {
  readonly #options: ResolvedOptions;
  /** As it was given. */
  readonly #store: Store | undefined;
  readonly #pauses = new Pauses();
  #scanning = false;
  #current: Scan | undefined;
  /** Handlers that a scan gave up and that still run, by shard. */
  readonly #unfinished = new Map<string, Promise<unknown>>();
  #warned = false;

  /** @throws ConfigError that names the option */
  constructor(options: ConsumerOptions<S> | LeasingConsumerOptions<S & LeaseStore>) {
    this.#options = resolveOptions(options);
    this.#store = options.store;
  }

  /**
   * Calls the handler for every record of every shard that the group grants: in the order of each shard, or
   * with `concurrency` in the order of each key. `options` decide how often a record is tried at which the
   * handler fails, and what becomes of it then; by default the scan ends.
   *
   * Resolves once the signal has aborted, running handlers have ended and checkpoints are flushed.
   * @throws KcError on the first error that does not pass by itself; DrainTimeoutError if a stop takes longer
   * than `drainTimeoutMs`; ConfigError for a wrong option; SCAN_ACTIVE during another scan
   */
  async scan<Value = undefined>(
    handler: Handler<Value>,
    options: DeliveryOptions<Value> = {},
  ): Promise<void> {
    return this.#deliver(this.#options.group, handler, options);
  }

  /**
   * Calls the handler for batches of records, each of one shard. A batch is delivered when it is full, when
   * its first record has waited for `maxWaitMs`, and at its shard's end. Otherwise as `scan`.
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
   * Calls the handler for batches of records, each in one transaction of the store with its checkpoint: what
   * the handler writes by it is stored exactly once, whatever fails. A shard has one transaction at a time.
   * Otherwise as `scanBatch`.
   *
   * The store opens the transaction, and gives it to the handler as `context.tx`; or, with `transaction:
   * "handler"`, the handler opens it by a library of its own and calls `context.checkpoint` as the last
   * statement.
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

  /** As `scan`, of one shard alone, whether its parents were read or not. Also resolves at the shard's end. */
  async scanShard<Value = undefined>(
    shardId: string,
    handler: Handler<Value>,
    options: DeliveryOptions<Value> = {},
  ): Promise<void> {
    if (typeof shardId !== "string" || shardId === "") {
      throw new ConfigError("shardId", "a shard's id is needed");
    }
    return this.#deliver(new OneShard(shardId), handler, options);
  }

  /**
   * The records of every shard, for `for await`. The request for the next record acknowledges this one.
   * `break` and `throw` do not acknowledge it, and stop the scan before the loop ends.
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

  /** A snapshot of what the consumer is doing, computed by the call. */
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
   * The changes of the status from now on, through all scans, until the signal aborts or the loop ends. A
   * reader that lags a thousand events behind gets an `events-missed` event with their number.
   */
  events(options: ScanOptions = {}): AsyncIterableIterator<ConsumerEvent> {
    return this.#options.telemetry.feed.read(checkScanOptions(options).signal);
  }

  /**
   * Starts no further record of these shards, by default of any, until the returned function is called.
   * Records in hand are finished, leases are kept, checkpoints are flushed, and reading stops once the
   * memory for pages is full. A pause lasts through scans; of several, a shard needs all to be over.
   * @throws ConfigError
   */
  pause(shardIds?: readonly string[]): () => void {
    return this.#pauses.add(shardIds === undefined ? undefined : checkShardIds(shardIds));
  }

  /** The health of the consumer, for a liveness or readiness probe. @throws ConfigError */
  health(thresholds: HealthThresholds = {}): Health {
    return healthOf(this.status(), checkThresholds(thresholds));
  }

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

  /** What the letters of this consumer have in common. */
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

/** A store that can take part in a transaction that the user's own code opens. */
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
  if (typeof handler !== "function") throw new ConfigError("handler", "a function is needed");
}
