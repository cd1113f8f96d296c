/** The SQL of leases and workers. Values start with the scope, application and stream_name, unless noted otherwise. */

const SCOPE = "application = ? AND stream_name = ?";
const WORKER = `${SCOPE} AND worker_id = ? AND incarnation = ?`;

/** True if the lease has no owner, or its owner's worker has no row. */
const IS_FREE = `(owner IS NULL OR NOT EXISTS (
    SELECT 1 FROM kc_workers AS w
    WHERE w.application = kc_checkpoints.application AND w.stream_name = kc_checkpoints.stream_name
      AND w.worker_id || '#' || w.incarnation = kc_checkpoints.owner))`;

/** The value is an array of shard ids. */
const IS_ONE_OF = "shard_id IN (SELECT value FROM json_each(?))";

export const READ_REVISION = `SELECT revision FROM kc_groups WHERE ${SCOPE}`;

export const RAISE_REVISION = `INSERT INTO kc_groups (application, stream_name, revision)
    VALUES (?, ?, 1)
  ON CONFLICT (application, stream_name) DO UPDATE SET revision = revision + 1
  RETURNING revision`;

export const READ_WORKER = `SELECT incarnation FROM kc_workers WHERE ${SCOPE} AND worker_id = ?`;

export const READ_WORKERS = `SELECT worker_id, incarnation, counter, weight, max_shards
  FROM kc_workers WHERE ${SCOPE}`;

export const PUT_WORKER = `INSERT INTO kc_workers
    (application, stream_name, worker_id, incarnation, counter, weight, max_shards)
    VALUES (?, ?, ?, ?, 0, ?, ?)
  RETURNING worker_id`;

export const HEARTBEAT = `UPDATE kc_workers SET counter = counter + 1 WHERE ${WORKER} RETURNING counter`;

export const EVICT_WORKER = `DELETE FROM kc_workers WHERE ${WORKER} AND counter = ? RETURNING worker_id`;

export const REMOVE_WORKER = `DELETE FROM kc_workers WHERE ${WORKER} RETURNING worker_id`;

/** Values: the scope, then an array of shard id and lineage for each. A row may exist for a checkpoint only. */
export const CREATE_LEASES = `INSERT INTO kc_checkpoints (application, stream_name, shard_id, lineage)
    SELECT ?, ?, value ->> 0, value ->> 1 FROM json_each(?) WHERE true
  ON CONFLICT (application, stream_name, shard_id) DO UPDATE SET lineage = excluded.lineage
    WHERE kc_checkpoints.lineage IS NULL
  RETURNING shard_id`;

/** Values: an array of shard id, new lineage and replaced lineage for each, then the scope. */
export const REPLACE_LINEAGES = `UPDATE kc_checkpoints SET lineage = put.value ->> 1
  FROM json_each(?) AS put
  WHERE ${SCOPE} AND shard_id = put.value ->> 0 AND lineage = put.value ->> 2
  RETURNING shard_id`;

export const READ_LEASES = `SELECT * FROM kc_checkpoints WHERE ${SCOPE} AND lineage IS NOT NULL`;

/** Values: the owner, then the scope and the shard ids. */
export const ACQUIRE_LEASES = `UPDATE kc_checkpoints SET owner = ?, epoch = epoch + 1
  WHERE ${SCOPE} AND ${IS_ONE_OF} AND lineage IS NOT NULL AND ${IS_FREE}
  RETURNING shard_id`;

/** Values: an array of shard id, epoch and owner for each, then the scope. */
export const RELEASE_LEASES = `UPDATE kc_checkpoints SET owner = NULL
  FROM json_each(?) AS held
  WHERE ${SCOPE} AND shard_id = held.value ->> 0
    AND epoch = held.value ->> 1 AND owner = held.value ->> 2
  RETURNING shard_id`;

export const REMOVE_SHARDS = `DELETE FROM kc_checkpoints
  WHERE ${SCOPE} AND ${IS_ONE_OF} AND ${IS_FREE}
  RETURNING shard_id`;
