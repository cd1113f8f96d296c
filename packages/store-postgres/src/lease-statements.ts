/**
 * The SQL of leases. A change that waits for locks first locks the rows in a separate statement, sorted by shard as
 * writes of checkpoints do. The next statement decides, with a fresh snapshot. A single statement that waited for a
 * lock would see the locked row as it is now, but everything else as it was when the statement began: it would miss a
 * worker that joined and claimed meanwhile. A claim skips locked rows, and compares what it locks with its snapshot.
 *
 * A lease's row has a lineage. A row without one was inserted by a write of a checkpoint, as something to lock.
 */
import { ownerOf, type Fence, type ShardPut, type WorkerIdentity } from "@kc/core";
import type { Place } from "./calls.ts";
import { raiseRevision, readRevision } from "./revision.ts";
import { CHECKPOINT, claim, foreign } from "./statements.ts";
import { isWorker } from "./worker-statements.ts";

/** The shard ids as rows `w (shard_id)`. */
function wanted({ quote }: Place, shardIds: readonly string[]): string {
  return `json_array_elements_text(${quote(JSON.stringify(shardIds))}) AS w (shard_id)`;
}

const ofLease = ({ namespace, quote }: Place): string =>
  `l.namespace = ${quote(namespace)} AND l.shard_id = w.shard_id`;

/**
 * True if the lease `l` has no owner, or its owner's worker has no row. Valid while the lease is locked or unchanged:
 * an incarnation whose row is gone never comes back.
 */
function isFree({ tables, namespace, quote }: Place): string {
  return `NOT EXISTS (SELECT FROM ${tables.workers} AS o WHERE o.namespace = ${quote(namespace)}
        AND o.worker_id = split_part(l.owner, '#', 1) AND o.worker_id || '#' || o.incarnation = l.owner)`;
}

/** Locks the leases of these rows. Returns one row, however many it locks. */
function lock(place: Place, rows: string, condition = "true"): string {
  return `SELECT count(*) FROM (
      SELECT FROM ${rows} JOIN ${place.tables.leases} AS l ON ${ofLease(place)}
      WHERE ${condition} ORDER BY w.shard_id FOR UPDATE OF l
    ) AS locked`;
}

export function putShards(place: Place, shards: readonly ShardPut[]): string[] {
  const { tables, namespace, quote } = place;
  const rows = shards.map(({ shardId, lineage, replaces }) => ({
    shard_id: shardId,
    lineage,
    replaces,
  }));
  const put = `json_to_recordset(${quote(JSON.stringify(rows))})
        AS w (shard_id text, lineage text, replaces text)`;
  const isAsSeen = "l.lineage = w.replaces";
  return [
    claim(place),
    lock(place, put, isAsSeen),
    // Existing rows whose lineage is not to be replaced are neither written nor locked.
    `WITH made AS (
      INSERT INTO ${tables.leases} AS l (namespace, shard_id, epoch, lineage)
      SELECT ${quote(namespace)}, w.shard_id, 0, w.lineage
      FROM ${put} LEFT JOIN ${tables.leases} AS l ON ${ofLease(place)}
      WHERE w.replaces IS NULL AND l.lineage IS NULL AND NOT ${foreign(place)}
      ORDER BY w.shard_id
      ON CONFLICT (namespace, shard_id) DO UPDATE SET lineage = excluded.lineage
        WHERE l.lineage IS NULL
      RETURNING l.shard_id
    ), replaced AS (
      UPDATE ${tables.leases} AS l SET lineage = w.lineage
      FROM ${put}
      WHERE ${ofLease(place)} AND ${isAsSeen} AND NOT ${foreign(place)}
      RETURNING l.shard_id
    ), changed AS (
      SELECT FROM made UNION ALL SELECT FROM replaced
    ), ${raiseRevision(place, "changed", "with a hint")}
    SELECT FROM raised`,
  ];
}

const LEASE = "l.shard_id, l.owner, l.epoch::text AS epoch, l.lineage";

/**
 * Leases `l` with their checkpoints `c`, by one index look-up for each shard. OFFSET 0 prevents a quadratic loop, which
 * Postgres chooses when it expects few rows, as in tables that were not analyzed yet.
 */
function withCheckpoint({ tables }: Place): string {
  return `${tables.leases} AS l LEFT JOIN LATERAL (
        SELECT * FROM ${tables.checkpoints} AS c
        WHERE c.namespace = l.namespace AND c.shard_id = l.shard_id OFFSET 0
      ) AS c ON true`;
}

export function listLeases(place: Place): string[] {
  return [
    claim(place),
    readRevision(place),
    `SELECT ${LEASE}, ${CHECKPOINT} FROM ${withCheckpoint(place)}
      WHERE l.namespace = ${place.quote(place.namespace)} AND l.lineage IS NOT NULL`,
  ];
}

/**
 * The last two results: the free shards that were passed over, because another transaction has locked or changed
 * their leases; and the leases that the worker now holds.
 *
 * The claim is a compare-and-set. SKIP LOCKED waits for no lock, and returns the newest version of a row: it must have
 * the epoch and the owner that the statement's snapshot has.
 *
 * @param locks whether to wait for others' row locks first, in a separate statement
 */
export function acquireLeases(
  place: Place,
  worker: WorkerIdentity,
  shardIds: readonly string[],
  locks: "are waited for" | "are skipped",
): string[] {
  const { tables, namespace, quote } = place;
  const owner = quote(ownerOf(worker));
  const rows = wanted(place, shardIds);
  const isAlive = `EXISTS (SELECT FROM ${tables.workers} AS w WHERE ${isWorker(place, worker)})`;
  return [
    claim(place),
    ...(locks === "are waited for" ? [lock(place, rows)] : []),
    `WITH free AS (
      SELECT w.shard_id, l.epoch, l.owner FROM ${rows} JOIN ${tables.leases} AS l ON ${ofLease(place)}
      WHERE l.lineage IS NOT NULL AND l.owner IS DISTINCT FROM ${owner}
        AND ${isFree(place)} AND ${isAlive} AND NOT ${foreign(place)}
    ), locked AS (
      SELECT l.shard_id FROM free AS w CROSS JOIN LATERAL (
        SELECT l.shard_id FROM ${tables.leases} AS l
        WHERE ${ofLease(place)} AND l.epoch = w.epoch AND l.owner IS NOT DISTINCT FROM w.owner
        FOR UPDATE SKIP LOCKED
      ) AS l
    ), changed AS (
      UPDATE ${tables.leases} SET owner = ${owner}, epoch = epoch + 1
      WHERE namespace = ${quote(namespace)} AND shard_id = ANY (ARRAY(SELECT shard_id FROM locked))
      RETURNING shard_id
    ), ${raiseRevision(place, "changed", "without a hint")}
    SELECT shard_id FROM free WHERE shard_id NOT IN (SELECT shard_id FROM changed)`,
    // After the locks, so that it sees the last writes of the former owners. OFFSET 0 as above.
    `SELECT l.* FROM (SELECT DISTINCT shard_id FROM ${rows}) AS w
      CROSS JOIN LATERAL (
        SELECT ${LEASE}, ${CHECKPOINT} FROM ${withCheckpoint(place)}
        WHERE ${ofLease(place)} AND l.lineage IS NOT NULL AND l.owner = ${owner} OFFSET 0
      ) AS l
      WHERE ${isAlive}`,
  ];
}

/** Returns the namespace's claim; one result to ignore; the released shards. */
export function releaseLeases(
  place: Place,
  leases: readonly { readonly shardId: string; readonly fence: Fence }[],
): string[] {
  const { tables, quote } = place;
  const fences = leases.map(({ shardId, fence: { epoch, owner } }) => ({
    shard_id: shardId,
    epoch,
    owner,
  }));
  const rows = `json_to_recordset(${quote(JSON.stringify(fences))})
        AS w (shard_id text, epoch bigint, owner text)`;
  const holds = "l.owner = w.owner AND l.epoch = w.epoch";
  return [
    claim(place),
    lock(place, rows, holds),
    `WITH changed AS (
      UPDATE ${tables.leases} AS l SET owner = NULL
      FROM ${rows}
      WHERE ${ofLease(place)} AND ${holds} AND NOT ${foreign(place)}
      RETURNING l.shard_id
    ), ${raiseRevision(place, "changed", "with a hint")}
    SELECT shard_id FROM changed`,
  ];
}

/** A checkpoint without a lease's row gets one first, so that there is a row to lock. */
export function removeShards(place: Place, shardIds: readonly string[]): string[] {
  const { tables, namespace, quote } = place;
  const rows = wanted(place, shardIds);
  return [
    claim(place),
    `INSERT INTO ${tables.leases} (namespace, shard_id, epoch)
      SELECT ${quote(namespace)}, w.shard_id, 0
      FROM ${rows} JOIN ${tables.checkpoints} AS c
        ON c.namespace = ${quote(namespace)} AND c.shard_id = w.shard_id
      WHERE NOT ${foreign(place)}
      ORDER BY w.shard_id
      ON CONFLICT (namespace, shard_id) DO NOTHING`,
    lock(place, rows),
    `WITH changed AS (
      DELETE FROM ${tables.leases} AS l USING ${rows}
      WHERE ${ofLease(place)} AND ${isFree(place)} AND NOT ${foreign(place)}
      RETURNING l.shard_id
    ), checkpoints AS (
      DELETE FROM ${tables.checkpoints} AS c USING changed
      WHERE c.namespace = ${quote(namespace)} AND c.shard_id = changed.shard_id
    ), ${raiseRevision(place, "changed", "with a hint")}
    SELECT FROM raised`,
  ];
}
