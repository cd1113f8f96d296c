import {
  GetItemCommand,
  QueryCommand,
  TransactGetItemsCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type AttributeValue,
  type ConditionCheck,
  type TransactWriteItem,
} from "@aws-sdk/client-dynamodb";
import {
  checkpointAt,
  type ApplicationRow,
  type Checkpoint,
  type Fence,
  type StoreScope,
  type TransactionalWrite,
} from "@kc/core";
import { aheadColumn, NO_NUMBER, sharedNumber } from "@kc/core/adapter";
import { applicationItem, isInside, orderedText, shardItem, writerOf, type Item } from "./rows.ts";

/** The requests for checkpoints and applications. `schema.ts` describes the items. */

/** A partition of the table: all items of one application on one stream. */
export interface Partition {
  readonly table: string;
  readonly namespace: string;
}

/** The prefix of our own sort keys. No shard's id begins with it. */
export const OWN_PREFIX = "kc#";
export const APPLICATION = `${OWN_PREFIX}application`;
export const leaseSortKey = (shardId: string): string => `${OWN_PREFIX}lease#${shardId}`;

type Key = Record<"namespace" | "shard_id", AttributeValue>;

export const itemKey = (
  { table, namespace }: Partition,
  sortKey: string,
): { TableName: string; Key: Key } => ({
  TableName: table,
  Key: { namespace: { S: namespace }, shard_id: { S: sortKey } },
});

/** Makes a failed condition return the stored item, which saves a read. */
export const RETURN_ITEM = { ReturnValuesOnConditionCheckFailure: "ALL_OLD" } as const;

export const readItem = (partition: Partition, sortKey: string): GetItemCommand =>
  new GetItemCommand({ ...itemKey(partition, sortKey), ConsistentRead: true });

/** One page of a partition, at most 1 MB. */
export const readPage = (
  { table, namespace }: Partition,
  after: Record<string, AttributeValue> | undefined,
): QueryCommand =>
  new QueryCommand({
    TableName: table,
    KeyConditionExpression: "#namespace = :namespace",
    ExpressionAttributeNames: { "#namespace": "namespace" },
    ExpressionAttributeValues: { ":namespace": { S: namespace } },
    ConsistentRead: true,
    ExclusiveStartKey: after,
  });

/** One page of the items with sort keys from `first` to `last`. */
export const readRange = (
  { table, namespace }: Partition,
  [first, last]: readonly [string, string],
  after: Record<string, AttributeValue> | undefined,
): QueryCommand =>
  new QueryCommand({
    TableName: table,
    KeyConditionExpression: "#namespace = :namespace AND shard_id BETWEEN :first AND :last",
    ExpressionAttributeNames: { "#namespace": "namespace" },
    ExpressionAttributeValues: {
      ":namespace": { S: namespace },
      ":first": { S: first },
      ":last": { S: last },
    },
    ConsistentRead: true,
    ExclusiveStartKey: after,
  });

/**
 * Creates an item unless it exists. It does not use PutItem, which would succeed on a table without our sort key and
 * overwrite one item again and again.
 */
export const create = (partition: Partition, sortKey: string, item: Item): UpdateItemCommand => {
  const entries = Object.entries(item);
  return new UpdateItemCommand({
    ...itemKey(partition, sortKey),
    UpdateExpression: `SET ${entries.map(([name]) => `${name} = :${name}`).join(", ")}`,
    ConditionExpression: "attribute_not_exists(shard_id)",
    ExpressionAttributeValues: Object.fromEntries(
      entries.map(([name, value]) => [`:${name}`, value]),
    ),
    ...RETURN_ITEM,
  });
};

export const putApplication = (partition: Partition, row: ApplicationRow): UpdateItemCommand =>
  create(partition, APPLICATION, applicationItem(row));

/**
 * The update that sets a shard's item to a checkpoint. A shard's end without a number keeps the stored number. `kc_ahead`
 * is replaced together with the position.
 */
function setCheckpoint(
  checkpoint: Checkpoint,
  writer: string,
): { UpdateExpression: string; values: Record<string, AttributeValue> } {
  const number = sharedNumber(checkpoint);
  const ahead = aheadColumn(checkpoint);
  const isEndAlone = checkpoint.kind === "shard-end" && number === undefined;
  const numbers = isEndAlone ? "if_not_exists(sequence_number, :number)" : ":number";
  const [present, absent] = isInside(checkpoint) ? ["kc_whole", "kc_at"] : ["kc_at", "kc_whole"];
  return {
    UpdateExpression:
      `SET sequence_number = ${numbers}, ${present} = ${numbers}, ` +
      `kc_checkpoint = :checkpoint, kc_writer = :writer` +
      (ahead === undefined
        ? ` REMOVE ${absent}, kc_ahead`
        : `, kc_ahead = :ahead REMOVE ${absent}`),
    values: {
      ":number": { S: number ?? NO_NUMBER },
      ":checkpoint": { S: orderedText(checkpoint) },
      ":writer": { S: writer },
      ...(ahead === undefined ? {} : { ":ahead": { S: ahead } }),
    },
  };
}

/** True if no other program has written another number since: see `isInside`. */
const IS_OURS =
  "(kc_at = sequence_number OR (attribute_not_exists(kc_at) AND kc_whole = sequence_number))";

/**
 * The usual write: one item, one condition. It succeeds only if `kc_writer` exists and matches the fence. If it does not
 * exist, `adopt` is needed.
 */
export const advance = (
  partition: Partition,
  shardId: string,
  checkpoint: Checkpoint,
  fence: Fence | undefined,
): UpdateItemCommand => {
  const { UpdateExpression, values } = setCheckpoint(checkpoint, writerOf(fence));
  const ahead = aheadColumn(checkpoint);
  const ofPosition = ahead?.slice(0, ahead.indexOf(":") + 1);
  const isFurther =
    ofPosition === undefined
      ? "kc_checkpoint < :checkpoint"
      : "(kc_checkpoint < :checkpoint OR (kc_checkpoint = :checkpoint AND (attribute_not_exists(kc_ahead) " +
        "OR kc_ahead < :ahead OR NOT begins_with(kc_ahead, :position))))";
  return new UpdateItemCommand({
    ...itemKey(partition, shardId),
    UpdateExpression,
    ConditionExpression: `kc_writer = :writer AND ${IS_OURS} AND ${isFurther}`,
    ExpressionAttributeValues:
      ofPosition === undefined ? values : { ...values, ":position": { S: ofPosition } },
    ...RETURN_ITEM,
  });
};

/**
 * The same together with the user's items, if the stored checkpoint lies before `from` and not before `after`. It has no
 * client request token: the service answers a repeated token with success and writes nothing, even after a reset.
 */
export const advanceWith = (
  partition: Partition,
  { shardId, checkpoint, fence, from, after }: TransactionalWrite,
  items: readonly TransactWriteItem[],
): TransactWriteItemsCommand => {
  const { UpdateExpression, values } = setCheckpoint(checkpoint, writerOf(fence));
  const isNext = after === undefined ? "" : " AND kc_checkpoint >= :after";
  const update = {
    ...itemKey(partition, shardId),
    UpdateExpression,
    ConditionExpression: `kc_writer = :writer AND ${IS_OURS} AND kc_checkpoint < :from${isNext}`,
    ExpressionAttributeValues: {
      ...values,
      ":from": { S: orderedText(checkpointAt(from)) },
      ...(after === undefined ? {} : { ":after": { S: orderedText(checkpointAt(after)) } }),
    },
    ...RETURN_ITEM,
  };
  return transaction([{ Update: update }, ...items]);
};

/** Reads an item without seeing half-committed transactions. GetItem may see one item of a transaction early. */
export const readCommitted = (partition: Partition, sortKey: string): TransactGetItemsCommand =>
  new TransactGetItemsCommand({ TransactItems: [{ Get: itemKey(partition, sortKey) }] });

/** The indexes of the actions in `adopt` and `reset`, and so of their refusals. */
export const ACTION = { lease: 0, shard: 1, application: 2 } as const;

/**
 * Writes a shard's item if its `kc_writer` is missing, or if the namespace's claim is unknown. The transaction compares
 * the lease and the claim in their own items, and the shard's item must be as it was `seen`. The user's `items` come
 * last.
 */
export const adopt = (
  partition: Partition,
  shardId: string,
  checkpoint: Checkpoint,
  fence: Fence | undefined,
  seen: Item | undefined,
  unclaimedBy: StoreScope | undefined,
  items: readonly TransactWriteItem[] = [],
): TransactWriteItemsCommand => {
  const { UpdateExpression, values } = setCheckpoint(checkpoint, writerOf(fence));
  const { present, absent } = partsOf(seen);
  return transaction([
    {
      ConditionCheck: {
        ...itemKey(partition, leaseSortKey(shardId)),
        ...leaseIs(fence),
        ...RETURN_ITEM,
      },
    },
    {
      Update: {
        ...itemKey(partition, shardId),
        UpdateExpression,
        ConditionExpression: [
          ...present.map(([name]) => `${name} = :seen_${name}`),
          ...absent.map((name) => `attribute_not_exists(${name})`),
        ].join(" AND "),
        ExpressionAttributeValues: {
          ...values,
          ...Object.fromEntries(present.map(([name, value]) => [`:seen_${name}`, value])),
        },
        ...RETURN_ITEM,
      },
    },
    ...namespaceIsClaimable(partition, unclaimedBy),
    ...items,
  ]);
};

/** Puts or deletes a shard's item, raises the epoch and takes the lease away. */
export const reset = (
  partition: Partition,
  shardId: string,
  to: Checkpoint | undefined,
  force: boolean,
  unclaimedBy: StoreScope | undefined,
): TransactWriteItemsCommand => {
  const { TableName, Key } = itemKey(partition, shardId);
  return transaction([
    {
      Update: {
        ...itemKey(partition, leaseSortKey(shardId)),
        UpdateExpression: "SET kc_epoch = if_not_exists(kc_epoch, :zero) + :one REMOVE kc_owner",
        ...(force ? {} : { ConditionExpression: "attribute_not_exists(kc_owner)" }),
        ExpressionAttributeValues: { ":zero": { N: "0" }, ":one": { N: "1" } },
        ...RETURN_ITEM,
      },
    },
    to === undefined
      ? { Delete: { TableName, Key } }
      : { Put: { TableName, Item: { ...Key, ...shardItem(to) } } },
    ...namespaceIsClaimable(partition, unclaimedBy),
  ]);
};

/** The attributes on which a decision about a shard's item was based: those present, and those absent. */
function partsOf(item: Item | undefined): {
  readonly present: readonly (readonly [string, AttributeValue])[];
  readonly absent: readonly string[];
} {
  const names = ["sequence_number", "kc_at", "kc_whole", "kc_checkpoint", "kc_ahead"];
  const present = names.flatMap((name) => {
    const value = item?.[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { present, absent: names.filter((name) => item?.[name] === undefined) };
}

type Condition = Pick<ConditionCheck, "ConditionExpression" | "ExpressionAttributeValues">;

function leaseIs(fence: Fence | undefined): Condition & { ConditionExpression: string } {
  if (fence === undefined) return { ConditionExpression: "attribute_not_exists(kc_owner)" };
  return {
    ConditionExpression: "kc_owner = :owner AND kc_epoch = :epoch",
    ExpressionAttributeValues: {
      ":owner": { S: fence.owner },
      ":epoch": { N: String(fence.epoch) },
    },
  };
}

/** The condition that no scope has claimed the namespace, or that this scope has. */
function namespaceIsClaimable(
  partition: Partition,
  scope: StoreScope | undefined,
): TransactWriteItem[] {
  if (scope === undefined) return [];
  const check = {
    ...itemKey(partition, APPLICATION),
    ConditionExpression:
      "attribute_not_exists(shard_id) OR (kc_application = :application AND kc_stream_name = :stream)",
    ExpressionAttributeValues: {
      ":application": { S: scope.application },
      ":stream": { S: scope.streamName },
    },
    ...RETURN_ITEM,
  };
  return [{ ConditionCheck: check }];
}

const transaction = (actions: TransactWriteItem[]): TransactWriteItemsCommand =>
  new TransactWriteItemsCommand({ TransactItems: actions });
