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
 * The table is Go's: one item for each shard. Beside Go's `sequence_number` it holds, put by us and
 * wiped by Go's PutItem:
 * - `kc_at`: the `sequence_number` that the next two belong to: they count only while it is that;
 * - `kc_whole`: the same of a position inside an aggregate, in the place of `kc_at`: the last whole record;
 * - `kc_checkpoint`: the checkpoint as a text in the order of checkpoints;
 * - `kc_ahead`: what is done beyond it, behind the position that it belongs to; absent = nothing is;
 * - `kc_writer`: who may write it, `{epoch}:{owner}` or `free`: a copy of the shard's lease.
 *
 * Items of our own, under sort keys that no shard has (a shard's id has no `#`):
 * - `kc#application`: the application row, and so the claim to the namespace;
 * - `kc#group`: `kc_revision`, which follows each change of what comes next;
 * - `kc#group#{worker}`: a worker that lives: `kc_incarnation`, `kc_counter`, `kc_weight`,
 *   `kc_max_shards` if it has a limit;
 * - `kc#lease#{shard}`: `kc_epoch`; `kc_owner`, while it is held; `kc_lineage`, if workers share it. Whoever changes it sets the
 *   shard's `kc_writer` in the same transaction: a copy that is there is true.
 */
export const KEY_SCHEMA = [
  { AttributeName: "namespace", KeyType: "HASH" },
  { AttributeName: "shard_id", KeyType: "RANGE" },
] as const;

const READY_WITHIN_MS = 120_000;
const POLL_MS = 500;

/** A table, and what its keys have to be. */
export interface TableShape {
  readonly table: string;
  readonly keys: readonly { readonly AttributeName: string; readonly KeyType: "HASH" | "RANGE" }[];
  /** How to make it, for the messages of errors. */
  readonly definition: string;
}

/** The table of checkpoints. */
export function checkpointsShape(table: string): TableShape {
  return { table, keys: KEY_SCHEMA, definition: tableDefinition(table) };
}

/** Makes the table unless it is there, waits until it can be used, and holds its keys against ours. */
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
    // Another process was faster.
    if (!isCausedBy(error, "ResourceInUseException")) throw error;
  }
}

/** @throws StoreError STORE_SCHEMA unless the table has these keys, all of them strings. */
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
