import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { StoreError } from "@kc/core";
import { misused } from "@kc/core/adapter";

/**
 * Collects the items of a handler of `scanTransaction`. They are sent with the checkpoint, as one TransactWriteItems,
 * after the handler has returned.
 */
export interface DynamoTransaction {
  /**
   * Adds a Put, Update, Delete or ConditionCheck, in the SDK's form (see `marshall` of `@aws-sdk/util-dynamodb`). Each
   * must be for a different item: DynamoDB refuses two actions on one.
   * @throws StoreError TRANSACTION_MISUSED beyond 97 items, for a value that is not an item, and after the handler has
   * returned. Do not catch it: the transaction is refused in any case
   */
  write(...items: readonly TransactWriteItem[]): void;
}

/** DynamoDB accepts 100. The store needs up to three: the checkpoint, and at first the lease and the application. */
export const MAX_ITEMS = 97;

export class CollectedItems implements DynamoTransaction {
  readonly items: TransactWriteItem[] = [];
  /** The error to throw if the items fail: the SDK's, unless dead letters of the store are among them. */
  explain: (error: StoreError) => unknown = ({ cause }) => cause;
  readonly #shardId: string;
  #isEnded = false;
  #refused: StoreError | undefined;

  constructor(shardId: string) {
    this.#shardId = shardId;
  }

  write(...items: readonly TransactWriteItem[]): void {
    if (this.#isEnded) {
      throw this.#misused("the transaction has ended: await everything in the handler");
    }
    if (this.items.length + items.length > MAX_ITEMS) {
      throw this.#misused(
        `a transaction of DynamoDB takes ${MAX_ITEMS} items beside the checkpoint: lower maxRecords, or ` +
          "write fewer items a record",
      );
    }
    // The SDK silently drops such an item.
    if (items.some((item) => typeof item !== "object" || item === null)) {
      throw this.#misused("an item must be a Put, an Update, a Delete or a ConditionCheck");
    }
    this.items.push(...items);
  }

  /** @throws StoreError TRANSACTION_MISUSED if items were refused and the handler caught the error */
  throwIfRefused(): void {
    if (this.#refused !== undefined) throw this.#refused;
  }

  /** Items that are written later are refused. */
  end(): void {
    this.#isEnded = true;
  }

  #misused(why: string): StoreError {
    const error = misused(this.#shardId, why);
    this.#refused ??= error;
    return error;
  }
}
