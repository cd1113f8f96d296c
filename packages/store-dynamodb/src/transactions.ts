import type { TransactGetItemsCommandOutput, TransactWriteItem } from "@aws-sdk/client-dynamodb";
import {
  StoreError,
  type CallOptions,
  type CheckpointInResult,
  type StoreScope,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import { checkNotRegressed, hasLess, isAtOrBeyond, joined, unlessAborted } from "@kc/core/adapter";
import type { NamespaceClaims } from "./namespace-claims.ts";
import type { Client } from "./client.ts";
import { refusalsOf, type Refusal } from "./errors.ts";
import { checkShardId, type Namespaces } from "./namespaces.ts";
import { shardStateOf, writerOf, type Item } from "./rows.ts";
import * as statements from "./statements.ts";
import { CollectedItems, type DynamoTransaction } from "./transaction.ts";

/** The maximum number of attempts. Each failed one lost to another writer that moved the shard meanwhile. */
const MAX_ATTEMPTS = 30;
/** Errors that do not tell whether the user's items are at fault. */
const UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(["STORE_UNAVAILABLE", "STORE_CLOSED"]);

/** A request with the store's own actions, followed by the user's items. */
interface Request {
  readonly command: object;
  readonly items: readonly TransactWriteItem[];
  /** The error to throw if the items fail. */
  readonly explain: (error: StoreError) => unknown;
  /** The number of the store's own actions, and the index of the shard's among them. */
  readonly own: number;
  readonly shard: number;
}

interface Refused {
  /** The refusals of the store's own actions. */
  readonly own: readonly (Refusal | undefined)[];
  /** The error of the user's items; `undefined` if the store's own actions failed. */
  readonly failure: { readonly error: unknown } | undefined;
}

/** Transactions of handlers: the collected items and the checkpoint are one TransactWriteItems. */
export class Transactions {
  readonly #client: Client;
  readonly #namespaces: Namespaces;
  readonly #claims: NamespaceClaims;

  constructor(client: Client, namespaces: Namespaces, claims: NamespaceClaims) {
    this.#client = client;
    this.#namespaces = namespaces;
    this.#claims = claims;
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: DynamoTransaction) => Value | PromiseLike<Value>,
    { signal }: CallOptions = {},
  ): Promise<TransactionResult<Value>> {
    return joined([this.#client.closing, signal], (stop) =>
      this.#transactUntil(stop, scope, write, work),
    );
  }

  async #transactUntil<Value>(
    stop: AbortSignal,
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: DynamoTransaction) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    checkShardId(write.shardId);
    const tx = new CollectedItems(write.shardId);
    let value: Value;
    try {
      value = await unlessAborted(stop, work(tx));
      tx.throwIfRefused();
    } finally {
      tx.end();
    }
    const result = await this.#commit(scope, write, tx, { signal: stop });
    return result.outcome === "written" ? { outcome: "committed", value } : result;
  }

  /** @throws the SDK's error if the user's items fail */
  async #commit(
    scope: StoreScope,
    write: TransactionalWrite,
    { items, explain }: CollectedItems,
    options: CallOptions,
  ): Promise<CheckpointInResult> {
    const { shardId, fence, from, after } = write;
    const partition = this.#namespaces.partition(scope);
    const claimed = await this.#claims.isClaimed(scope, options);
    /** The stored item as far as known: `undefined` until a refusal returns it. */
    let item: Item | undefined;
    let failure: Refused["failure"];
    if (claimed) {
      const command = statements.advanceWith(partition, write, items);
      const request = { command, items, explain, own: 1, shard: 0 };
      const refused = await this.#send(scope, shardId, request, options);
      if (refused === undefined) return { outcome: "written" };
      item = refused.own[0]?.item;
      failure = refused.failure;
    } else if (after !== undefined) {
      item = await this.#read(partition, shardId, options);
    }
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const { checkpoint: stored, writer } = shardStateOf(item);
      if (writer !== undefined && writer !== writerOf(fence)) return { outcome: "lease-lost" };
      const isDone = stored !== undefined && isAtOrBeyond(stored, from);
      if (isDone && writer !== undefined) return { outcome: "already-done", stored };
      if (hasLess(write, stored)) {
        const holds = writer !== undefined || (await this.#holds(partition, write, options));
        if (!holds) return { outcome: "lease-lost" };
        checkNotRegressed(write, stored);
      }
      if (!isDone && failure !== undefined) throw failure.error;
      // Only the lease's own item tells who may write. If the work is done already, its items are not written again.
      const command = statements.adopt(
        partition,
        shardId,
        isDone ? stored : write.checkpoint,
        fence,
        item,
        claimed ? undefined : scope,
        isDone ? [] : items,
      );
      const { lease, shard, application } = statements.ACTION;
      const request = { command, items: isDone ? [] : items, explain, own: claimed ? 2 : 3, shard };
      const refused = await this.#send(scope, shardId, request, options);
      if (refused === undefined) {
        return isDone ? { outcome: "already-done", stored } : { outcome: "written" };
      }
      this.#claims.learn(scope, refused.own[application]?.item);
      if (refused.own[lease]?.failed === true) return { outcome: "lease-lost" };
      item = refused.own[shard]?.item;
      failure = refused.failure;
    }
    throw new StoreError(
      "STORE_UNAVAILABLE",
      `DynamoDB table ${partition.table}: ${shardId} was changed by other writers during each of ${MAX_ATTEMPTS} attempts`,
      { retryable: true },
    );
  }

  /** Reads an item without seeing half-committed transactions. */
  async #read(
    partition: statements.Partition,
    sortKey: string,
    options: CallOptions,
  ): Promise<Item | undefined> {
    const look = statements.readCommitted(partition, sortKey);
    const { Responses } = await this.#client.read<TransactGetItemsCommandOutput>(look, options);
    return Responses?.[0]?.Item;
  }

  /** Whether the fence matches the lease's own item. */
  async #holds(
    partition: statements.Partition,
    { shardId, fence }: TransactionalWrite,
    options: CallOptions,
  ): Promise<boolean> {
    const lease = await this.#read(partition, statements.leaseSortKey(shardId), options);
    const owner = lease?.["kc_owner"]?.S;
    if (fence === undefined) return owner === undefined;
    return owner === fence.owner && Number(lease?.["kc_epoch"]?.N) === fence.epoch;
  }

  /**
   * Whether an access error concerns a table of the user's items. DynamoDB names the table that it denies. In doubt it
   * is the store's, so that no record is blamed.
   */
  #isOfTheirs({ message }: StoreError, items: readonly TransactWriteItem[]): boolean {
    const tables = items.flatMap((item) =>
      Object.values(item).map(({ TableName }) => nameOf(TableName)),
    );
    const own = nameOf(this.#client.table);
    return tables.some((name) => name !== own && message.split(/[^\w.-]/).includes(name));
  }

  /**
   * Returns `undefined` if it was written. A user's item may fail because an earlier attempt of the same work, whose
   * answer was lost, has stored it. So the shard is read before this counts as the work's failure.
   */
  async #send(
    scope: StoreScope,
    shardId: string,
    { command, items, explain, own, shard }: Request,
    options: CallOptions,
  ): Promise<Refused | undefined> {
    try {
      await this.#client.read(command, options);
      return undefined;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const refusals = refusalsOf(error.cause)?.slice(0, own) ?? [];
      if (refusals.some(({ failed }) => failed)) return { own: refusals, failure: undefined };
      if (items.length === 0 || UNKNOWN_OUTCOME.has(error.code)) throw error;
      if (error.code === "STORE_ACCESS_DENIED" && !this.#isOfTheirs(error, items)) throw error;
      const item = await this.#read(this.#namespaces.partition(scope), shardId, options);
      const found: (Refusal | undefined)[] = [];
      found[shard] = { failed: false, item };
      return { own: found, failure: { error: explain(error) } };
    }
  }
}

/** The name in a table's name or ARN. */
function nameOf(table: string | undefined): string {
  return table?.split("/").at(-1) ?? "";
}
