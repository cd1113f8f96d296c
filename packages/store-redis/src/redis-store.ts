import type {
  ApplicationRow,
  CallOptions,
  DeadLetterTable,
  LeaseStore,
  StoreScope,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { LeaseStoreOfParts, StatementsDeadLetterTable } from "@kc/core/adapter";
import { Applications } from "./applications.ts";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { RedisLetters } from "./dead-letters.ts";
import { Leases } from "./leases.ts";
import { checkOptions, type RedisStoreOptions } from "./options.ts";
import type { RedisTransaction } from "./transaction.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Checkpoints and leases in Redis: a server with or without replicas, or a cluster. There is no schema, so there is no
 * `setup`. The first call connects, not the constructor.
 */
export class RedisStore extends LeaseStoreOfParts implements TransactionalStore<RedisTransaction> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #keyPrefix: string;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #applications: Applications;
  readonly #transactions: Transactions;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: RedisStoreOptions) {
    const checked = checkOptions(options);
    const { keyPrefix, searchForGo } = checked;
    const connection = new Connection(checked);
    const calls = new Calls(connection, keyPrefix);
    const applications = new Applications(calls, searchForGo);
    const workers = new Workers(calls);
    super({
      checkpoints: new Checkpoints(calls, applications),
      workers,
      leases: new Leases(calls, applications, workers),
    });
    this.#keyPrefix = keyPrefix;
    this.#connection = connection;
    this.#calls = calls;
    this.#applications = applications;
    this.#transactions = new Transactions(calls, applications);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#applications.open(scope, row, options);
  }

  /**
   * The commands that `work` collects run in one script with the checkpoint, after `work` has ended. **Redis does not
   * roll back a script**: if a command fails, the effects of those before it remain, the checkpoint is not written, and
   * the error is the work's failure.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  /** Listens on a dedicated connection, and reconnects until the signal aborts. */
  watch(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void> {
    return this.#connection.subscribe(this.#calls.memoryOf(scope).keys.group, onHint, signal);
  }

  /** Dead letters under the store's key prefix, in keys of their own. */
  deadLetters(): DeadLetterTable {
    const letters = new RedisLetters(this.#connection, this.#keyPrefix);
    return new StatementsDeadLetterTable(letters);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}
