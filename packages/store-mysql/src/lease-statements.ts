/**
 * The SQL that changes workers and leases. Each statement is a transaction of its own, and a
 * compare-and-set: it changes what still stands as it was looked at, in the order of shards. An
 * incarnation whose row is gone never comes back, so a caller that looked may decide by it which lease is
 * free, without a lock; and an epoch with its owner stands once.
 *
 * Each change of a lease sets its copy in the checkpoint's row in the same statement.
 *
 * A lease's row has a lineage. One without was made by a write of a checkpoint, for its lock.
 */
import type { ShardLineage, ShardPut, WorkerIdentity, WorkerMembership } from "@kc/core";
import type { ShardLease } from "@kc/core/adapter";
import { aliased, isWorker, list, literal, valuesTable, WRITABLE, type Place } from "./sql.ts";
import type { CheckpointColumns } from "./statements.ts";

/** Fails with ER_DUP_ENTRY where one stands under that id. */
export function putWorker({ tables, namespace }: Place, own: WorkerMembership): string {
  const { workerId, incarnation, weight, maxShards = null } = own;
  const names = list([namespace, workerId, incarnation]);
  // With an exponent it is a double from the start, exact to its last bit.
  return `INSERT INTO ${tables.workers}
      (namespace, worker_id, incarnation, weight, max_shards, counter)
    SELECT ${names}, ${weight.toExponential()}, ${literal(maxShards)}, 0 FROM DUAL WHERE ${WRITABLE}`;
}

/** One row by its key. It waits for nobody but an eviction, or a claim that has all its other locks. */
export function heartbeat({ tables, namespace }: Place, worker: WorkerIdentity): string {
  return `UPDATE ${tables.workers} AS w SET w.counter = w.counter + 1
    WHERE w.namespace = ${literal(namespace)} AND ${isWorker("w", worker)} AND ${WRITABLE}`;
}

/** With a counter, only while it is that. */
export function removeWorker(
  { tables, namespace }: Place,
  worker: WorkerIdentity,
  counter?: number,
): string {
  const { workers } = tables;
  const unmoved = counter === undefined ? "" : `AND ${workers}.counter = ${counter}`;
  return `DELETE ${workers} FROM ${workers} FORCE INDEX (PRIMARY)
    WHERE ${workers}.namespace = ${literal(namespace)} AND ${isWorker(workers, worker)} ${unmoved}
      AND ${WRITABLE}`;
}

/** After the change that it announces: a reader of a revision sees the changes that it stands for. */
export function raiseRevision({ tables, namespace }: Place): string {
  const { revisions } = tables;
  return `INSERT INTO ${revisions} (namespace, revision)
    SELECT ${literal(namespace)}, 1 FROM DUAL WHERE ${WRITABLE}
    ON DUPLICATE KEY UPDATE ${revisions}.revision = ${revisions}.revision + 1`;
}

/** New rows are free. Of those that stand, one without a lineage gets it. */
export function createLeases(
  { tables, namespace }: Place,
  shards: readonly ShardLineage[],
): string {
  const { leases } = tables;
  const rows = shards.map(({ shardId, lineage }) => [shardId, lineage]);
  return `INSERT INTO ${leases} (namespace, shard_id, epoch, lineage)
    SELECT ${literal(namespace)}, x.shard_id, 0, x.lineage
    FROM ${valuesTable("x", ["shard_id", "lineage"], rows)} WHERE ${WRITABLE}
    ON DUPLICATE KEY UPDATE ${leases}.lineage = COALESCE(${leases}.lineage, VALUES(lineage))`;
}

/** Of the rows whose lineage still is as it was seen. */
export function replaceLineages(
  { tables, namespace }: Place,
  shards: readonly Required<ShardPut>[],
): string {
  const rows = shards.map(({ shardId, lineage, replaces }) => [shardId, lineage, replaces]);
  return `UPDATE ${valuesTable("x", ["shard_id", "lineage", "replaces"], rows)}
    STRAIGHT_JOIN ${tables.leases} AS l FORCE INDEX (PRIMARY)
      ON l.namespace = ${literal(namespace)} AND l.shard_id = x.shard_id AND l.lineage = x.replaces
    SET l.lineage = x.lineage
    WHERE ${WRITABLE}`;
}

/** Lease rows of shards that have none, so that there is something to lock. */
export function addLeaseRows({ tables, namespace }: Place, shardIds: readonly string[]): string {
  const { leases } = tables;
  const rows = shardIds.map((shardId) => [shardId]);
  return `INSERT INTO ${leases} (namespace, shard_id, epoch)
    SELECT ${literal(namespace)}, x.shard_id, 0
    FROM ${valuesTable("x", ["shard_id"], rows)} WHERE ${WRITABLE}
    ON DUPLICATE KEY UPDATE ${leases}.epoch = ${leases}.epoch`;
}

/** A lease as it was looked at. */
export interface ReadLease extends ShardLease {
  readonly shardId: string;
}

/** Rows `x` of leases that were seen, and the rows `l` that still are as they were. */
function seen({ tables, namespace }: Place, leases: readonly ReadLease[], l = "l"): string {
  const rows = leases.map(({ shardId, epoch, owner = null }) => [shardId, epoch, owner]);
  return `${valuesTable("x", ["shard_id", "epoch", "owner"], rows)}
    STRAIGHT_JOIN ${aliased(tables.leases, l)} FORCE INDEX (PRIMARY)
      ON ${l}.namespace = ${literal(namespace)} AND ${l}.shard_id = x.shard_id
        AND ${l}.epoch = x.epoch AND ${l}.owner <=> x.owner`;
}

/** The checkpoint's row of a lease `l`, if there is one. */
const withCheckpoint = ({ tables, namespace, asShardId }: Place, l = "l", c = "c"): string =>
  `LEFT JOIN ${aliased(tables.checkpoints, c)} FORCE INDEX (PRIMARY)
      ON ${c}.namespace = ${literal(namespace)} AND ${c}.shard_id = ${asShardId(`${l}.shard_id`)}`;

/**
 * Gives leases to a worker whose row is there. The row is read under a shared lock, at every
 * isolation level: an eviction comes before the claim, and then nothing is claimed, or after it.
 *
 * The derived table locks the rows of leases and checkpoints before the worker's row is read: a claim may
 * wait for them for long, and its worker's heartbeats must not wait for the claim. LIMIT keeps it from being
 * merged into the rest. The worker is looked up by columns of it: what is looked up by constants may be read
 * before all else.
 */
export function acquireLeases(
  place: Place,
  worker: WorkerIdentity,
  owner: string,
  leases: readonly ReadLease[],
): string {
  const { tables, namespace } = place;
  const { workerId, incarnation } = worker;
  return `UPDATE (
      SELECT l.shard_id, l.epoch, c.shard_id AS stored_id,
        ${literal(workerId)} AS worker_id, ${literal(incarnation)} AS incarnation
      FROM ${seen(place, leases)}
      ${withCheckpoint(place)}
      LIMIT 18446744073709551615 FOR UPDATE
    ) AS locked
    STRAIGHT_JOIN ${tables.workers} AS w FORCE INDEX (PRIMARY) ON w.namespace = ${literal(namespace)}
      AND w.worker_id = locked.worker_id AND w.incarnation = locked.incarnation
    STRAIGHT_JOIN ${tables.leases} AS l FORCE INDEX (PRIMARY)
      ON l.namespace = ${literal(namespace)} AND l.shard_id = locked.shard_id
    LEFT JOIN ${tables.checkpoints} AS c FORCE INDEX (PRIMARY)
      ON c.namespace = ${literal(namespace)} AND c.shard_id = locked.stored_id
    SET l.owner = ${literal(owner)}, l.epoch = locked.epoch + 1,
      c.kc_owner = ${literal(owner)}, c.kc_epoch = locked.epoch + 1
    WHERE ${WRITABLE}`;
}

export function releaseLeases(place: Place, leases: readonly ReadLease[]): string {
  return `UPDATE ${seen(place, leases)}
    ${withCheckpoint(place)}
    SET l.owner = NULL, c.kc_owner = NULL, c.kc_epoch = x.epoch
    WHERE ${WRITABLE}`;
}

/** Takes a lease away, so that its owner is fenced out, and writes the checkpoint of an existing row. */
export function resetLease(
  place: Place,
  lease: ReadLease,
  to: CheckpointColumns | undefined,
): string {
  const position =
    to === undefined
      ? ""
      : `, c.sequence_number = ${to.sequenceNumber}, c.kc_at = ${literal(to.at)},
      c.kc_inside = ${literal(to.inside)}, c.kc_whole = ${literal(to.whole)},
      c.kc_sub_sequence_number = ${literal(to.subSequenceNumber)},
      c.kc_shard_end = ${literal(to.shardEnd)}, c.kc_ahead = ${literal(to.ahead)},
      c.kc_write = NULL`;
  return `UPDATE ${seen(place, [lease])}
    ${withCheckpoint(place)}
    SET l.owner = NULL, l.epoch = x.epoch + 1, c.kc_owner = NULL, c.kc_epoch = x.epoch + 1${position}
    WHERE ${WRITABLE}`;
}

/** With their checkpoints. */
export function removeShards(place: Place, leases: readonly ReadLease[]): string {
  const { leases: l, checkpoints: c } = place.tables;
  return `DELETE ${l}, ${c} FROM ${seen(place, leases, l)}
    ${withCheckpoint(place, l, c)}
    WHERE ${WRITABLE}`;
}
