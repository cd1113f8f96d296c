import type {
  ApplicationRow,
  CallOptions,
  DeadLetterTable,
  LeaseStore,
  StoreScope,
  TransactionalDeadLetters,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { LeaseStoreOfParts, TransactionalLetterTable } from "@kc/core/adapter";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { NamespaceClaims } from "./namespace-claims.ts";
import { Client } from "./client.ts";
import { DynamoDBLetters } from "./dead-letters.ts";
import { Leases } from "./leases.ts";
import { Namespaces } from "./namespaces.ts";
import { checkOptions, type DynamoDBStoreOptions } from "./options.ts";
import { applicationOf } from "./rows.ts";
import { checkpointsShape, setUpTable } from "./schema.ts";
import { putApplication } from "./statements.ts";
import type { DynamoTransaction } from "./transaction.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Checkpoints and leases in a DynamoDB table: the Go library's, or one that `setup()` creates.
 */
export class DynamoDBStore
  extends LeaseStoreOfParts
  implements TransactionalStore<DynamoTransaction>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 10_000,
    flush: "spread",
    maxAheadBytes: 512,
  };
  readonly #client: Client;
  readonly #namespaces: Namespaces;
  readonly #transactions: Transactions;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: DynamoDBStoreOptions) {
    const checked = checkOptions(options);
    const client = new Client(checked);
    const namespaces = new Namespaces(checked);
    const claims = new NamespaceClaims(client, namespaces);
    const calls = new Calls(client, namespaces);
    const workers = new Workers(calls);
    super({
      checkpoints: new Checkpoints(calls, namespaces, claims),
      workers,
      leases: new Leases(calls, workers),
    });
    this.#client = client;
    this.#namespaces = namespaces;
    this.#transactions = new Transactions(client, namespaces, claims);
  }

  /** Creates the table with on-demand capacity (PAY_PER_REQUEST), unless it exists, and waits until it is active. */
  setup(options?: CallOptions): Promise<void> {
    return setUpTable(this.#client, checkpointsShape(this.#client.table), options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const partition = this.#namespaces.partition(scope);
    const refusals = await this.#client.write(putApplication(partition, row), options);
    const item = refusals?.[0]?.item;
    const existing = item === undefined ? row : applicationOf(item);
    this.#namespaces.learn(scope, existing);
    return { outcome: item === undefined ? "created" : "existing", row: existing };
  }

  /**
   * Sends the items that `work` collects and the checkpoint as one TransactWriteItems, after `work` has ended. If the
   * condition of one of these items fails, or DynamoDB refuses an item, the call throws the SDK's error as the work's
   * failure.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: DynamoTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  /**
   * Dead letters in the table `{table}-dead-letters`, which the queue's own `setup()` creates.
   * @throws ConfigError if that name is longer than a table's name can be
   */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<DynamoTransaction> {
    return new TransactionalLetterTable(new DynamoDBLetters(this.#client), this);
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}
