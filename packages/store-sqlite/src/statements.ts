/**
 * The SQL of checkpoints and applications. Shards are passed as one JSON array: a statement for each of a thousand
 * shards would block the event loop for a fifth of a second.
 */

const COLUMNS = "sequence_number, sub_sequence_number, shard_end, ahead";

/**
 * Core's order of checkpoints as a row value: no checkpoint comes first, a shard's end last. Numbers compare by length,
 * then as text; a whole record comes after its user records; equal positions compare by `ahead`.
 */
const order = (row: string): string =>
  `(${row}.shard_end, coalesce(length(${row}.sequence_number), 0),
    coalesce(${row}.sequence_number, ''), coalesce(${row}.sub_sequence_number, 9223372036854775807),
    coalesce(${row}.ahead, ''))`;

/** Reads checkpoints with their fences, which are in the same row. Values: the scope, then the shard ids. */
export const READ_SHARDS = `SELECT shard_id, ${COLUMNS}, epoch, owner FROM kc_checkpoints
  WHERE application = ? AND stream_name = ? AND shard_id IN (SELECT value FROM json_each(?))`;

export const READ_CHECKPOINTS = `SELECT shard_id, ${COLUMNS} FROM kc_checkpoints
  WHERE application = ? AND stream_name = ?`;

/**
 * Moves checkpoints forward, never back. Values: the scope, then an array of shard id, sequence number, sub-sequence
 * number, end and `ahead` for each shard. `WHERE true` separates the SELECT from ON CONFLICT for the parser.
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

/** The row is kept even if its checkpoint is removed, because its epoch fences out the former owner. */
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

/** Returns a row if this call inserted it. */
export const PUT_APPLICATION = `INSERT INTO kc_applications
    (application, stream_name, stream_arn, stream_created_at, start, start_timestamp, started_at, migrated)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (application, stream_name) DO NOTHING
  RETURNING application`;

export const READ_APPLICATION = `SELECT * FROM kc_applications
  WHERE application = ? AND stream_name = ?`;
