/**
 * The SQL that changes workers and leases. Each statement is a transaction of its own and a compare-and-set: it
 * changes only rows that are still as they were read, in the order of shards. An incarnation whose row is gone never
 * comes back, so a caller can decide from a snapshot which leases are free, without a lock. A pair of epoch and owner
 * is never used twice.
 *
 * Each change of a lease also updates its copy in the checkpoint's row, in the same statement.
 *
 * A lease's row has a lineage. A row without one was inserted by a write of a checkpoint, as something to lock.
 */
import type { ShardLineage, ShardPut, WorkerIdentity, WorkerMembership } from "@kc/core";
import type { ShardLease } from "@kc/core/adapter";
import { aliased, isWorker, list, literal, valuesTable, WRITABLE, type Place } from "./sql.ts";
import type { CheckpointColumns } from "./statements.ts";

/** Fails with ER_DUP_ENTRY if a worker with that id exists. */
export function putWorker({ tables, namespace }: Place, own: WorkerMembership): string {
  const { workerId, incarnation, weight, maxShards = null } = own;
  const names = list([namespace, workerId, incarnation]);
  // With an exponent the literal is a double, exact to the last bit.
  return `INSERT INTO ${tables.workers}
      (namespace, worker_id, incarnation, weight, max_shards, counter)
    SELECT ${names}, ${weight.toExponential()}, ${literal(maxShards)}, 0 FROM DUAL WHERE ${WRITABLE}`;
}

/** Updates one row by its key. It waits only for an eviction, or for a claim that holds all its other locks. */
export function heartbeat({ tables, namespace }: Place, worker: WorkerIdentity): string {
  return `UPDATE ${tables.workers} AS w SET w.counter = w.counter + 1
    WHERE w.namespace = ${literal(namespace)} AND ${isWorker("w", worker)} AND ${WRITABLE}`;
}

/** With a counter, deletes the row only if its counter is still the same. */
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

/** Run after the change that it announces, so that a reader of the revision sees that change. */
export function raiseRevision({ tables, namespace }: Place): string {
  const { revisions } = tables;
  return `INSERT INTO ${revisions} (namespace, revision)
    SELECT ${literal(namespace)}, 1 FROM DUAL WHERE ${WRITABLE}
    ON DUPLICATE KEY UPDATE ${revisions}.revision = ${revisions}.revision + 1`;
}

/** Inserts free leases. An existing row without a lineage gets it; other existing rows are unchanged. */
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

/** Replaces the lineages that are still as they were read. */
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

/** Inserts lease rows for shards that have none, so that there is a row to lock. */
export function addLeaseRows({ tables, namespace }: Place, shardIds: readonly string[]): string {
  const { leases } = tables;
  const rows = shardIds.map((shardId) => [shardId]);
  return `INSERT INTO ${leases} (namespace, shard_id, epoch)
    SELECT ${literal(namespace)}, x.shard_id, 0
    FROM ${valuesTable("x", ["shard_id"], rows)} WHERE ${WRITABLE}
    ON DUPLICATE KEY UPDATE ${leases}.epoch = ${leases}.epoch`;
}

/** A lease as it was read. */
export interface ReadLease extends ShardLease {
  readonly shardId: string;
}

/** The leases that were read as rows `x`, joined with the rows `l` that are still the same. */
function seen({ tables, namespace }: Place, leases: readonly ReadLease[], l = "l"): string {
  const rows = leases.map(({ shardId, epoch, owner = null }) => [shardId, epoch, owner]);
  return `${valuesTable("x", ["shard_id", "epoch", "owner"], rows)}
    STRAIGHT_JOIN ${aliased(tables.leases, l)} FORCE INDEX (PRIMARY)
      ON ${l}.namespace = ${literal(namespace)} AND ${l}.shard_id = x.shard_id
        AND ${l}.epoch = x.epoch AND ${l}.owner <=> x.owner`;
}

/** Joins the checkpoint's row of the lease `l`, if there is one. */
const withCheckpoint = ({ tables, namespace, asShardId }: Place, l = "l", c = "c"): string =>
  `LEFT JOIN ${aliased(tables.checkpoints, c)} FORCE INDEX (PRIMARY)
      ON ${c}.namespace = ${literal(namespace)} AND ${c}.shard_id = ${asShardId(`${l}.shard_id`)}`;

/**
 * Gives leases to a worker whose row exists. That row is read under a shared lock at every isolation level, so an
 * eviction happens either before the claim, which then claims nothing, or after it.
 *
 * The derived table locks the rows of leases and checkpoints before the worker's row is read. A claim may wait long
 * for these locks, and the worker's heartbeats must not wait for the claim. LIMIT prevents the derived table from
 * being merged into the outer query. The worker's row is joined by columns of the derived table: MySQL may read a
 * row that is selected by constants first.
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

/** Takes a lease away, which fences out its owner, and sets the checkpoint if its row exists. */
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

/** Deletes leases together with their checkpoints. */
export function removeShards(place: Place, leases: readonly ReadLease[]): string {
  const { leases: l, checkpoints: c } = place.tables;
  return `DELETE ${l}, ${c} FROM ${seen(place, leases, l)}
    ${withCheckpoint(place, l, c)}
    WHERE ${WRITABLE}`;
}
