import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { StoreError } from "@kc/core";
import { misused } from "@kc/core/adapter";

/**
 * What a handler of `scanTransaction` writes: items of one TransactWriteItems, which is sent with the
 * checkpoint once the handler has returned.
 */
export interface DynamoTransaction {
  /**
   * Adds a Put, Update, Delete or ConditionCheck, in the SDK's form (see `marshall` of
   * `@aws-sdk/util-dynamodb`). Each of another item: DynamoDB refuses two on one.
   * @throws StoreError TRANSACTION_MISUSED beyond 97 items, for what is no item, and once the handler has
   * returned: let it pass, for the transaction is refused
   */
  write(...items: readonly TransactWriteItem[]): void;
}

/** DynamoDB takes 100. The store's own: the checkpoint, and at first the lease and the application. */
export const MAX_ITEMS = 97;

export class CollectedItems implements DynamoTransaction {
  readonly items: TransactWriteItem[] = [];
  /** What is thrown of the items' failure: what the SDK threw, unless they are the store's letters. */
  explain: (error: StoreError) => unknown = ({ cause }) => cause;
  readonly #shardId: string;
  #isEnded = false;
  #refused: StoreError | undefined;

  constructor(shardId: string) {
    this.#shardId = shardId;
  }

  write(...items: readonly TransactWriteItem[]): void {
    if (this.#isEnded) throw this.#misused("the transaction is over: await all in the handler");
    if (this.items.length + items.length > MAX_ITEMS) {
      throw this.#misused(
        `a transaction of DynamoDB takes ${MAX_ITEMS} items beside the checkpoint: lower maxRecords, or ` +
          "write fewer items a record",
      );
    }
    // The SDK leaves such an item out, without a word.
    if (items.some((item) => typeof item !== "object" || item === null)) {
      throw this.#misused("an item is a Put, an Update, a Delete or a ConditionCheck");
    }
    this.items.push(...items);
  }

  /** @throws StoreError TRANSACTION_MISUSED if items were refused, and the work went on without them */
  throwIfRefused(): void {
    if (this.#refused !== undefined) throw this.#refused;
  }

  /** What is written later is refused. */
  end(): void {
    this.#isEnded = true;
  }

  #misused(why: string): StoreError {
    const error = misused(this.#shardId, why);
    this.#refused ??= error;
    return error;
  }
}
