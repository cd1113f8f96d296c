import {
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  type AttributeValue,
  type GetItemCommandOutput,
  type ScanCommandOutput,
} from "@aws-sdk/client-dynamodb";
import { ConfigError, KcError, StoreError, type CallOptions, type DeadLetter } from "@kc/core";
import {
  letterRowsOf,
  requestsOf,
  type LetterLimits,
  type LetterRow,
  type StoredLetter,
  type TransactionalLetterStatements,
} from "@kc/core/adapter";
import type { Client } from "./client.ts";
import { inParallel } from "./parallel.ts";
import type { Item } from "./rows.ts";
import { setUpTable, type TableShape } from "./schema.ts";
import { CollectedItems, MAX_ITEMS, type DynamoTransaction } from "./transaction.ts";

/** An item has at most 400 KB, including the names of its attributes. */
const LIMITS: LetterLimits = { most: 100, maxBytes: 4_000_000, maxRowBytes: 350_000 };
const KEYS = [{ AttributeName: "id", KeyType: "HASH" }] as const;
const MAX_NAME_LENGTH = 255;

/** The dead letters table of one store. Each letter is an item, and its id is the key. */
export class DynamoDBLetters implements TransactionalLetterStatements<DynamoTransaction> {
  readonly where: string;
  readonly #client: Client;
  readonly #shape: TableShape;

  constructor(client: Client) {
    const table = `${client.table}-dead-letters`;
    const name = table.split("/").at(-1)!;
    if (name.length > MAX_NAME_LENGTH) {
      throw new ConfigError("table", `${name} is longer than a table's name can be: shorten yours`);
    }
    this.#client = client;
    this.#shape = { table, keys: KEYS, definition: definitionOf(name) };
    this.where = `DynamoDB table ${table}`;
  }

  async setup(options: CallOptions): Promise<void> {
    await setUpTable(this.#client, this.#shape, options);
  }

  async limits(): Promise<LetterLimits> {
    return LIMITS;
  }

  async put(rows: readonly LetterRow[], options: CallOptions): Promise<void> {
    await this.#each(rows, options, (row) => new PutItemCommand(this.#putOf(row)));
  }

  /** Letters that do not fit into a transaction are put before it. A repeat writes the same items again. */
  putIn(tx: DynamoTransaction, letters: readonly DeadLetter[]): void | Promise<void> {
    const rows = [...letterRowsOf(letters, LIMITS.maxRowBytes)];
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    if (rows.length > MAX_ITEMS || bytes > LIMITS.maxBytes) return this.#putBefore(rows);
    tx.write(...rows.map((row) => ({ Put: this.#putOf(row) })));
    if (tx instanceof CollectedItems) tx.explain = (error) => this.#explained(error);
  }

  async #putBefore(rows: readonly LetterRow[]): Promise<void> {
    for (const some of requestsOf(rows, LIMITS)) await this.put(some, {});
  }

  /** The PutItem input of one letter. */
  #putOf({ id, application, letter, data }: LetterRow): {
    readonly TableName: string;
    readonly Item: Record<string, AttributeValue>;
  } {
    const attributes = { id: { S: id }, application: { S: application }, letter: { S: letter } };
    const Item = data === undefined ? attributes : { ...attributes, data: { B: data } };
    return { TableName: this.#shape.table, Item };
  }

  /** Uses Scan, which reads the whole table over all pages: there are few letters. */
  async page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    const found: Item[] = [];
    let start: Item | undefined = after === "" ? undefined : { id: { S: after } };
    do {
      const page: ScanCommandOutput = await this.#read(
        new ScanCommand({
          TableName: this.#shape.table,
          ConsistentRead: true,
          Limit: limit,
          ...(start !== undefined && { ExclusiveStartKey: start }),
          ...(application !== undefined && {
            FilterExpression: "application = :application",
            ExpressionAttributeValues: { ":application": { S: application } },
          }),
        }),
      );
      found.push(...(page.Items ?? []));
      start = page.LastEvaluatedKey;
    } while (start !== undefined && found.length < limit);
    return found.slice(0, limit).map((item) => ({ id: item["id"]?.S ?? "", ...storedOf(item) }));
  }

  async get(id: string): Promise<StoredLetter | undefined> {
    if (id === "") return undefined; // not a valid key
    const Key = { id: { S: id } };
    const { Item } = await this.#read<GetItemCommandOutput>(
      new GetItemCommand({ TableName: this.#shape.table, Key, ConsistentRead: true }),
    );
    return Item && storedOf(Item);
  }

  async remove(ids: readonly string[]): Promise<void> {
    const keys = [...new Set(ids)].filter((id) => id !== "");
    await this.#each(keys, {}, (id) => {
      return new DeleteItemCommand({ TableName: this.#shape.table, Key: { id: { S: id } } });
    });
  }

  /** Sends a request for each value, several concurrently. */
  async #each<Value>(
    values: readonly Value[],
    options: CallOptions,
    command: (value: Value) => object,
  ): Promise<void> {
    const { concurrency } = this.#client;
    const { failure } = await inParallel(values, concurrency, options, (value, own) =>
      this.#read(command(value), own),
    );
    options.signal?.throwIfAborted();
    if (failure !== undefined) throw failure.error;
  }

  async #read<Output>(command: object, options?: CallOptions): Promise<Output> {
    try {
      return await this.#client.read<Output>(command, options);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Adds the table's definition to the error if the table is missing or has other keys. */
  #explained(error: unknown): unknown {
    if (!KcError.is(error) || error.code !== "STORE_SCHEMA") return error;
    const { retryable, cause } = error;
    return new StoreError(
      error.code,
      `${this.where}: it is missing, or has other keys. ${this.#shape.definition}`,
      { retryable, cause },
    );
  }
}

function definitionOf(name: string): string {
  return `Run \`await store.deadLetters().setup()\` once with the right to create tables, or deploy (CloudFormation):
  DeadLetters:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      TableName: ${name}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: id, AttributeType: S }
      KeySchema:
        - { AttributeName: id, KeyType: HASH }`;
}

function storedOf(item: Item): StoredLetter {
  const data = item["data"]?.B;
  return {
    letter: item["letter"]?.S ?? "",
    data: data === undefined ? undefined : new Uint8Array(data),
  };
}
