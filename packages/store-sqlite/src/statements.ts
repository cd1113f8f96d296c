/**
 * All SQL of the store's daily work. Shards come as one JSON array: a statement for each of a thousand
 * would block the event loop for a fifth of a second.
 */

const COLUMNS = "sequence_number, sub_sequence_number, shard_end, ahead";

/**
 * core's order of checkpoints as one row value: a shard's end last, numbers by length, then text; a
 * whole record after its user records; at one position by what is done beyond it; no checkpoint before all.
 */
const order = (row: string): string =>
  `(${row}.shard_end, coalesce(length(${row}.sequence_number), 0),
    coalesce(${row}.sequence_number, ''), coalesce(${row}.sub_sequence_number, 9223372036854775807),
    coalesce(${row}.ahead, ''))`;

/** The checkpoint and its fence, which are in one row. Values: the scope, then the shard ids. */
export const READ_SHARDS = `SELECT shard_id, ${COLUMNS}, epoch, owner FROM kc_checkpoints
  WHERE application = ? AND stream_name = ? AND shard_id IN (SELECT value FROM json_each(?))`;

export const READ_CHECKPOINTS = `SELECT shard_id, ${COLUMNS} FROM kc_checkpoints
  WHERE application = ? AND stream_name = ?`;

/**
 * Moves checkpoints forward, never back. Values: the scope, then an array of shard id, number,
 * sub-number, end and what is done beyond for each shard. `WHERE true` parts the SELECT from ON CONFLICT.
 */
export const ADVANCE_CHECKPOINTS = `INSERT INTO kc_checkpoints
    (application, stream_name, shard_id, ${COLUMNS})
  SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true
  ON CONFLICT (application, stream_name, shard_id) DO UPDATE SET
    sequence_number = excluded.sequence_number,
    sub_sequence_number = excluded.sub_sequence_number,
    shard_end = excluded.shard_end,
    ahead = excluded.ahead
  WHERE ${order("excluded")} > ${order("kc_checkpoints")}
  RETURNING shard_id`;

/** The row stays when its checkpoint goes: its epoch fences out the former owner. */
export const RESET_CHECKPOINT = `INSERT INTO kc_checkpoints
    (application, stream_name, shard_id, ${COLUMNS}, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
  ON CONFLICT (application, stream_name, shard_id) DO UPDATE SET
    sequence_number = excluded.sequence_number,
    sub_sequence_number = excluded.sub_sequence_number,
    shard_end = excluded.shard_end,
    ahead = excluded.ahead,
    epoch = epoch + 1,
    owner = NULL
  RETURNING shard_id`;

/** A row comes back if this call put it. */
export const PUT_APPLICATION = `INSERT INTO kc_applications
    (application, stream_name, stream_arn, stream_created_at, start, start_timestamp, started_at, migrated)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (application, stream_name) DO NOTHING
  RETURNING application`;

export const READ_APPLICATION = `SELECT * FROM kc_applications
  WHERE application = ? AND stream_name = ?`;
