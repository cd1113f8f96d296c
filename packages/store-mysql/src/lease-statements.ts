/**
 * The SQL of workers and leases. Who changes any of them locks workers' rows first, then leases', in
 * the order of shards, then the revision's, and writes no checkpoint of a shard that it has not
 * locked.
 *
 * A lease's row has a lineage. One without was made by a write of a checkpoint, for its lock.
 */
import type { ShardLineage, WorkerIdentity, WorkerMembership } from "@kc/core";
import { hex, list, literal, PLACE, type Tables } from "./statements.ts";

/** The place, the revision, and each worker: always one row at least, all of one moment. */
export function readGroup(tables: Tables, namespace: string, worker?: WorkerIdentity): string {
  const own = worker === undefined ? "" : `AND ${isWorker("w", worker)}`;
  return `SELECT ${PLACE}, r.revision, ${hex("w.worker_id")} AS worker_id,
      ${hex("w.incarnation")} AS incarnation, w.weight, w.max_shards, w.counter
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN ${tables.applications} AS a ON a.namespace = ${literal(namespace)}
    LEFT JOIN ${tables.revisions} AS r ON r.namespace = ${literal(namespace)}
    LEFT JOIN ${tables.workers} AS w ON w.namespace = ${literal(namespace)} ${own}`;
}

const isWorker = (row: string, { workerId, incarnation }: WorkerIdentity): string =>
  `${row}.worker_id = ${literal(workerId)} AND ${row}.incarnation = ${literal(incarnation)}`;

/** Fails with ER_DUP_ENTRY where one stands under that id. */
export function putWorker({ workers }: Tables, namespace: string, own: WorkerMembership): string {
  const { workerId, incarnation, weight, maxShards = null } = own;
  const names = list([namespace, workerId, incarnation]);
  // With an exponent it is a double from the start, exact to its last bit.
  return `INSERT INTO ${workers} (namespace, worker_id, incarnation, weight, max_shards, counter)
    VALUES (${names}, ${weight.toExponential()}, ${literal(maxShards)}, 0)`;
}

/** One row by its key: it waits for nobody but this very worker's eviction. */
export function beat({ workers }: Tables, namespace: string, worker: WorkerIdentity): string {
  return `UPDATE ${workers} AS w SET w.counter = w.counter + 1
    WHERE w.namespace = ${literal(namespace)} AND ${isWorker("w", worker)}`;
}

/** As with shards, the caller waits by trying again. */
export function lockWorker({ workers }: Tables, namespace: string, worker: WorkerIdentity): string {
  return `SELECT w.counter FROM ${workers} AS w
    WHERE w.namespace = ${literal(namespace)} AND ${isWorker("w", worker)} FOR UPDATE NOWAIT`;
}

/** Only under the worker's lock. */
export function deleteWorker(
  { workers }: Tables,
  namespace: string,
  { workerId }: WorkerIdentity,
): string {
  return `DELETE FROM ${workers}
    WHERE namespace = ${literal(namespace)} AND worker_id = ${literal(workerId)}`;
}

/**
 * The last statement of its transaction: who holds this row waits for nothing but its commit. So
 * whoever reads a revision sees the changes that it stands for.
 */
export function raiseRevision({ revisions }: Tables, namespace: string): string {
  return `INSERT INTO ${revisions} (namespace, revision) VALUES (${literal(namespace)}, 1)
    ON DUPLICATE KEY UPDATE revision = revision + 1`;
}

/** The place, the revision, and each lease: always one row at least, all of one moment. */
export function readLeases(tables: Tables, namespace: string): string {
  return `SELECT ${PLACE}, r.revision, ${hex("l.shard_id")} AS shard_id, l.epoch,
      ${hex("l.owner")} AS owner, ${hex("l.lineage")} AS lineage
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN ${tables.applications} AS a ON a.namespace = ${literal(namespace)}
    LEFT JOIN ${tables.revisions} AS r ON r.namespace = ${literal(namespace)}
    LEFT JOIN ${tables.leases} AS l
      ON l.namespace = ${literal(namespace)} AND l.lineage IS NOT NULL`;
}

export function putShards(
  { leases }: Tables,
  namespace: string,
  shards: readonly ShardLineage[],
): string {
  const rows = shards.map(
    ({ shardId, lineage }) => `(${list([namespace, shardId])}, 0, ${literal(lineage)})`,
  );
  return `INSERT INTO ${leases} (namespace, shard_id, epoch, lineage) VALUES ${rows.join(", ")}
    ON DUPLICATE KEY UPDATE lineage = VALUES(lineage)`;
}

/** Only under the shards' locks. */
export function takeLeases(
  { leases }: Tables,
  namespace: string,
  shardIds: readonly string[],
  owner: string,
): string {
  return `UPDATE ${leases} SET owner = ${literal(owner)}, epoch = epoch + 1
    WHERE namespace = ${literal(namespace)} AND shard_id IN (${list(shardIds)})`;
}

/** Only under the shards' locks. */
export function freeLeases(
  { leases }: Tables,
  namespace: string,
  shardIds: readonly string[],
): string {
  return `UPDATE ${leases} SET owner = NULL
    WHERE namespace = ${literal(namespace)} AND shard_id IN (${list(shardIds)})`;
}

/** Only under the shards' locks. */
export function deleteLeases(
  { leases }: Tables,
  namespace: string,
  shardIds: readonly string[],
): string {
  return `DELETE FROM ${leases}
    WHERE namespace = ${literal(namespace)} AND shard_id IN (${list(shardIds)})`;
}
