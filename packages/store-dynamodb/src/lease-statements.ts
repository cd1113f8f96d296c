import {
  DeleteItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type AttributeValue,
} from "@aws-sdk/client-dynamodb";
import type { Fence, ShardPut, WorkerIdentity, WorkerMembership } from "@kc/core";
import { FREE, writerOf } from "./rows.ts";
import {
  create,
  itemKey,
  leaseSortKey,
  OWN_PREFIX,
  RETURN_ITEM,
  type Partition,
} from "./statements.ts";

/** The requests for workers and leases. */

/** The item of the revision. It comes before the workers' items in the order of sort keys. */
export const GROUP = `${OWN_PREFIX}group`;
export const WORKER_PREFIX = `${GROUP}#`;
export const LEASE_PREFIX = leaseSortKey("");
const workerSortKey = (workerId: string): string => `${WORKER_PREFIX}${workerId}`;

/** A lease as it was read. */
export interface ReadLease {
  readonly shardId: string;
  readonly epoch: number;
  readonly owner: string | undefined;
}

/** One page of the items whose sort key has the prefix. */
export const readPrefix = (
  { table, namespace }: Partition,
  prefix: string,
  after: Record<string, AttributeValue> | undefined,
): QueryCommand =>
  new QueryCommand({
    TableName: table,
    KeyConditionExpression: "#namespace = :namespace AND begins_with(shard_id, :prefix)",
    ExpressionAttributeNames: { "#namespace": "namespace" },
    ExpressionAttributeValues: { ":namespace": { S: namespace }, ":prefix": { S: prefix } },
    ConsistentRead: true,
    ExclusiveStartKey: after,
  });

export const raiseRevision = (partition: Partition): UpdateItemCommand =>
  new UpdateItemCommand({
    ...itemKey(partition, GROUP),
    UpdateExpression: "ADD kc_revision :one",
    ExpressionAttributeValues: { ":one": { N: "1" } },
    ReturnValues: "UPDATED_NEW",
  });

export const putWorker = (partition: Partition, worker: WorkerMembership): UpdateItemCommand =>
  create(partition, workerSortKey(worker.workerId), {
    kc_incarnation: { S: worker.incarnation },
    kc_counter: { N: "0" },
    kc_weight: { N: String(worker.weight) },
    ...(worker.maxShards === undefined ? {} : { kc_max_shards: { N: String(worker.maxShards) } }),
  });

export const heartbeat = (
  partition: Partition,
  { workerId, incarnation }: WorkerIdentity,
): UpdateItemCommand =>
  new UpdateItemCommand({
    ...itemKey(partition, workerSortKey(workerId)),
    UpdateExpression: "ADD kc_counter :one",
    ConditionExpression: "kc_incarnation = :incarnation",
    ExpressionAttributeValues: { ":one": { N: "1" }, ":incarnation": { S: incarnation } },
    ReturnValues: "UPDATED_NEW",
  });

/** With a counter, removes the worker only if its counter is still the same. */
export const removeWorker = (
  partition: Partition,
  { workerId, incarnation, counter }: WorkerIdentity & { readonly counter?: number },
): DeleteItemCommand =>
  new DeleteItemCommand({
    ...itemKey(partition, workerSortKey(workerId)),
    ConditionExpression: `kc_incarnation = :incarnation${counter === undefined ? "" : " AND kc_counter = :counter"}`,
    ExpressionAttributeValues: {
      ":incarnation": { S: incarnation },
      ...(counter === undefined ? {} : { ":counter": { N: String(counter) } }),
    },
    ...RETURN_ITEM,
  });

/** Refused if the row is not as the caller saw it. */
export const putLineage = (
  partition: Partition,
  { shardId, lineage, replaces }: ShardPut,
): UpdateItemCommand =>
  new UpdateItemCommand({
    ...itemKey(partition, leaseSortKey(shardId)),
    UpdateExpression: "SET kc_lineage = :lineage, kc_epoch = if_not_exists(kc_epoch, :zero)",
    ConditionExpression:
      replaces === undefined ? "attribute_not_exists(kc_lineage)" : "kc_lineage = :replaces",
    ExpressionAttributeValues: {
      ":lineage": { S: lineage },
      ":zero": { N: "0" },
      ...(replaces === undefined ? {} : { ":replaces": { S: replaces } }),
    },
  });

/** Updates the lease, and its copy beside the checkpoint, if the lease is still as it was read. */
export const acquireLease = (
  partition: Partition,
  lease: ReadLease,
  owner: string,
): TransactWriteItemsCommand => {
  const fence: Fence = { epoch: lease.epoch + 1, owner };
  const { condition, values } = isUnchanged(lease);
  return new TransactWriteItemsCommand({
    TransactItems: [
      {
        Update: {
          ...itemKey(partition, leaseSortKey(lease.shardId)),
          UpdateExpression: "SET kc_epoch = :next, kc_owner = :new",
          ConditionExpression: `attribute_exists(kc_lineage) AND ${condition}`,
          ExpressionAttributeValues: {
            ...values,
            ":next": { N: String(fence.epoch) },
            ":new": { S: owner },
          },
          ...RETURN_ITEM,
        },
      },
      setWriter(partition, lease.shardId, writerOf(fence)),
    ],
  });
};

export const releaseLease = (partition: Partition, lease: ReadLease): TransactWriteItemsCommand => {
  const { condition, values } = isUnchanged(lease);
  return new TransactWriteItemsCommand({
    TransactItems: [
      {
        Update: {
          ...itemKey(partition, leaseSortKey(lease.shardId)),
          UpdateExpression: "REMOVE kc_owner",
          ConditionExpression: condition,
          ExpressionAttributeValues: values,
        },
      },
      setWriter(partition, lease.shardId, FREE),
    ],
  });
};

/** Deletes the lease's item and the shard's. A shard without a lease's item has the epoch 0. */
export const removeShard = (partition: Partition, lease: ReadLease): TransactWriteItemsCommand => {
  const { condition, values } = isUnchanged(lease);
  return new TransactWriteItemsCommand({
    TransactItems: [
      {
        Delete: {
          ...itemKey(partition, leaseSortKey(lease.shardId)),
          ConditionExpression: `attribute_not_exists(shard_id) OR (${condition})`,
          ExpressionAttributeValues: values,
        },
      },
      { Delete: itemKey(partition, lease.shardId) },
    ],
  });
};

function isUnchanged({ epoch, owner }: ReadLease): {
  readonly condition: string;
  readonly values: Record<string, AttributeValue>;
} {
  const values = { ":epoch": { N: String(epoch) } };
  if (owner === undefined) {
    return { condition: "kc_epoch = :epoch AND attribute_not_exists(kc_owner)", values };
  }
  return {
    condition: "kc_epoch = :epoch AND kc_owner = :owner",
    values: { ...values, ":owner": { S: owner } },
  };
}

function setWriter(partition: Partition, shardId: string, writer: string) {
  return {
    Update: {
      ...itemKey(partition, shardId),
      UpdateExpression: "SET kc_writer = :writer",
      ExpressionAttributeValues: { ":writer": { S: writer } },
    },
  };
}
