import { setTimeout as delay } from "node:timers/promises";
import {
  CreateTableCommand,
  DescribeTableCommand,
  type DescribeTableCommandOutput,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import { KcError, StoreError, type CallOptions } from "@kc/core";
import type { Client } from "./client.ts";
import { tableDefinition } from "./table-definition.ts";

/**
 * The table is the Go library's: one item for each shard. Beside Go's `sequence_number`, an item has attributes of ours,
 * which Go's PutItem wipes:
 * - `kc_at`: the `sequence_number` that our other attributes belong to. They are valid only while it is the stored one;
 * - `kc_whole`: replaces `kc_at` for a position inside an aggregate: the last whole record;
 * - `kc_checkpoint`: the checkpoint as a text that sorts in the order of checkpoints;
 * - `kc_ahead`: the records done beyond it, after the position that the text belongs to; absent if there are none;
 * - `kc_writer`: who may write it, `{epoch}:{owner}` or `free`: a copy of the shard's lease.
 *
 * Our own items have sort keys that no shard has (a shard's id contains no `#`):
 * - `kc#application`: the application row, which is also the claim to the namespace;
 * - `kc#group`: `kc_revision`, raised after each change of the items below;
 * - `kc#group#{worker}`: a live worker: `kc_incarnation`, `kc_counter`, `kc_weight`; `kc_max_shards` if it has a limit;
 * - `kc#lease#{shard}`: `kc_epoch`; `kc_owner` while it is held; `kc_lineage` if workers share the shard. Each change also
 *   sets the shard's `kc_writer`, in the same transaction, so an existing copy is always correct.
 */
export const KEY_SCHEMA = [
  { AttributeName: "namespace", KeyType: "HASH" },
  { AttributeName: "shard_id", KeyType: "RANGE" },
] as const;

const READY_WITHIN_MS = 120_000;
const POLL_MS = 500;

/** A table and its required keys. */
export interface TableShape {
  readonly table: string;
  readonly keys: readonly { readonly AttributeName: string; readonly KeyType: "HASH" | "RANGE" }[];
  /** How to create the table, for error messages. */
  readonly definition: string;
}

/** The checkpoints table. */
export function checkpointsShape(table: string): TableShape {
  return { table, keys: KEY_SCHEMA, definition: tableDefinition(table) };
}

/** Creates the table unless it exists, waits until it is usable, and checks its keys. */
export async function setUpTable(
  client: Client,
  shape: TableShape,
  options: CallOptions = {},
): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const description = await describe(client, shape, options);
    const status = description?.TableStatus;
    if (status === "ACTIVE" || status === "UPDATING") return checkKeys(shape, description);
    if (description === undefined) await create(client, shape, options);
    if (performance.now() > deadline) {
      throw new StoreError(
        "STORE_UNAVAILABLE",
        `DynamoDB table ${shape.table}: still ${status ?? "absent"} after ${READY_WITHIN_MS} ms`,
        { retryable: true },
      );
    }
    if (description !== undefined) await pause(options);
  }
}

async function describe(
  client: Client,
  { table }: TableShape,
  options: CallOptions,
): Promise<TableDescription | undefined> {
  try {
    const { Table } = await client.read<DescribeTableCommandOutput>(
      new DescribeTableCommand({ TableName: table }),
      options,
    );
    return Table;
  } catch (error) {
    if (isCausedBy(error, "ResourceNotFoundException")) return undefined;
    throw error;
  }
}

async function create(
  client: Client,
  { table, keys }: TableShape,
  options: CallOptions,
): Promise<void> {
  try {
    await client.read(
      new CreateTableCommand({
        TableName: table,
        BillingMode: "PAY_PER_REQUEST",
        KeySchema: [...keys],
        AttributeDefinitions: keys.map(({ AttributeName }) => ({
          AttributeName,
          AttributeType: "S" as const,
        })),
      }),
      options,
    );
  } catch (error) {
    // Another process has created it first.
    if (!isCausedBy(error, "ResourceInUseException")) throw error;
  }
}

/** @throws StoreError STORE_SCHEMA unless the table has exactly these keys, all of type string */
export function checkKeys(
  { table, keys, definition }: TableShape,
  description: TableDescription | undefined,
): void {
  const types = new Map(
    description?.AttributeDefinitions?.map((each) => [each.AttributeName, each.AttributeType]),
  );
  const found = (description?.KeySchema ?? []).map(({ AttributeName: name, KeyType: kind }) => {
    return `${name} (${kind}, ${types.get(name)})`;
  });
  const needed = keys.map(({ AttributeName: name, KeyType: kind }) => `${name} (${kind}, S)`);
  if (found.join() === needed.join()) return;
  throw new StoreError(
    "STORE_SCHEMA",
    `DynamoDB table ${table}: its keys are ${found.join(", ")}, and ${needed.join(", ")} are ` +
      `needed: use another table. ${definition}`,
  );
}

function isCausedBy(error: unknown, name: string): boolean {
  return KcError.is(error) && error.cause instanceof Error && error.cause.name === name;
}

async function pause({ signal }: CallOptions): Promise<void> {
  await delay(POLL_MS, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
}
