/**
 * The SQL of checkpoints; that of leases is in `lease-statements.ts`. A call is a list of statements that are sent
 * as one text: one round trip and, since Postgres runs such a text as one transaction, all or nothing. Under READ
 * COMMITTED each statement sees what was committed before it began, including what was committed while the
 * statement before it waited for a lock.
 *
 * The text contains the values, quoted by the driver: a text of several statements cannot have parameters.
 */
import type { ApplicationRow, Checkpoint, CheckpointWrite, Position } from "@kc/core";
import type { Place } from "./calls.ts";
import { raiseRevision } from "./revision.ts";
import { applicationJson, checkpointJson } from "./rows.ts";

/**
 * The columns that we added to the Go library's table. They are valid only while `kc_at` equals `sequence_number`:
 * Go writes `sequence_number` and leaves ours as they were. `kc_ahead` contains its own position, because earlier
 * versions of this package do not know that column.
 *
 * A position inside an aggregate has no `kc_at`. `sequence_number` and `kc_whole` are then the last whole record,
 * and `kc_inside` is the aggregate. So Go, and earlier versions of this package (which wrote the aggregate's own
 * number and `kc_at`), read it as the position of that whole record.
 */
const IS_INSIDE = "kc_at IS NULL AND kc_whole = sequence_number";
export const CHECKPOINT = `(CASE WHEN ${IS_INSIDE} THEN kc_inside ELSE sequence_number END)::text
    AS sequence_number,
  (CASE WHEN ${IS_INSIDE} THEN kc_whole END)::text AS whole,
  (CASE WHEN kc_at = sequence_number OR (${IS_INSIDE}) THEN kc_sub_sequence_number END)::text
    AS sub_sequence_number,
  coalesce(kc_at = sequence_number AND kc_shard_end, false)::text AS shard_end, kc_ahead AS ahead`;
const COLUMNS = `shard_id, ${CHECKPOINT}`;

/**
 * Core's order of checkpoints as a row value: a shard's end comes after every number, a whole record after its user
 * records; equal positions compare by `kc_ahead`.
 */
const order = (row: string): string => {
  const counts = `${row}.kc_at = ${row}.sequence_number`;
  const isInside = `${row}.kc_at IS NULL AND ${row}.kc_whole = ${row}.sequence_number`;
  const ended = `coalesce(${counts} AND ${row}.kc_shard_end, false)`;
  const number = `CASE WHEN ${isInside} THEN ${row}.kc_inside ELSE ${row}.sequence_number END`;
  const sub = `CASE WHEN ${counts} OR (${isInside}) THEN ${row}.kc_sub_sequence_number END`;
  const position = `(${number})::text || coalesce('.' || (${sub})::text, '')`;
  const ahead = `CASE WHEN split_part(${row}.kc_ahead, ':', 1) = ${position} THEN ${row}.kc_ahead END`;
  return `(${ended}, CASE WHEN ${ended} THEN 0 ELSE ${number} END,
    CASE WHEN ${ended} THEN 0 ELSE coalesce(${sub}, 9223372036854775807) END,
    CASE WHEN ${ended} THEN '' ELSE coalesce(${ahead}, '') END COLLATE "C")`;
};

/** A shard's end has the number of its last record, or keeps the number of the row, or has 0. */
const SET_CHECKPOINT = `sequence_number = CASE WHEN excluded.kc_shard_end
      THEN greatest(c.sequence_number, excluded.sequence_number) ELSE excluded.sequence_number END,
    kc_at = CASE WHEN excluded.kc_shard_end
      THEN greatest(c.sequence_number, excluded.sequence_number) ELSE excluded.kc_at END,
    kc_inside = excluded.kc_inside, kc_whole = excluded.kc_whole,
    kc_sub_sequence_number = excluded.kc_sub_sequence_number,
    kc_shard_end = excluded.kc_shard_end, kc_ahead = excluded.kc_ahead`;

const INSERT_COLUMNS = `namespace, shard_id, sequence_number, kc_at, kc_inside, kc_whole,
  kc_sub_sequence_number, kc_shard_end, kc_ahead`;

/** The inserted values, selected from rows in the form of `checkpointJson`. */
const INSERTED = `shard_id, sequence_number,
      CASE WHEN inside IS NULL THEN sequence_number END, inside,
      CASE WHEN inside IS NOT NULL THEN sequence_number END, sub_sequence_number, shard_end, ahead`;
const INPUT = `sequence_number numeric, inside numeric, sub_sequence_number bigint,
          shard_end boolean, ahead text`;

/** Reads the scope that has claimed the namespace. Returns no row if none has. */
export function claim({ tables, namespace, quote }: Place): string {
  return `SELECT application, stream_name FROM ${tables.applications}
    WHERE namespace = ${quote(namespace)}`;
}

/** True if another scope has claimed the namespace. Nothing may be written then. */
export function foreign({ tables, scope, namespace, quote }: Place): string {
  return `EXISTS (SELECT FROM ${tables.applications} WHERE namespace = ${quote(namespace)}
    AND (application, stream_name) <> (${quote(scope.application)}, ${quote(scope.streamName)}))`;
}

export function readCheckpoint(place: Place, shardId: string): string[] {
  const { tables, namespace, quote } = place;
  return [
    claim(place),
    `SELECT ${COLUMNS} FROM ${tables.checkpoints}
      WHERE namespace = ${quote(namespace)} AND shard_id = ${quote(shardId)}`,
  ];
}

export function readCheckpoints(place: Place): string[] {
  const { tables, namespace, quote } = place;
  return [
    claim(place),
    `SELECT ${COLUMNS} FROM ${tables.checkpoints} WHERE namespace = ${quote(namespace)}`,
  ];
}

/**
 * Inserts a free lease for each shard without a lease's row. A write without a fence locks that row, so a first
 * claim waits for the write. It could not wait for a row that does not exist.
 */
export function addLeaseRows(place: Place, shardIds: readonly string[]): string {
  const { tables, namespace, quote } = place;
  return `INSERT INTO ${tables.leases} (namespace, shard_id, epoch)
    SELECT ${quote(namespace)}, shard_id, 0
    FROM json_array_elements_text(${quote(JSON.stringify(shardIds))}::json) AS w (shard_id)
    WHERE NOT ${foreign(place)}
    ORDER BY shard_id
    ON CONFLICT (namespace, shard_id) DO NOTHING`;
}

/**
 * Moves checkpoints forward. Returns the namespace's claim; the inserted lease rows; which shards are `held` (their
 * lease matches the write's fence) and which of these `moved`; the stored checkpoints.
 *
 * `held` locks leases. After waiting for a lock, Postgres re-reads the row: either a claim waits for this write, or
 * this write sees the claim. `EXISTS (lease)` would read the row as it was before. Two writers of a shard wait for
 * each other here, as they would at the checkpoint's row. A shared lock would create a multixact of the two, and
 * every multixact brings the server nearer to a vacuum of all its tables. Rows that did not move are locked as well,
 * so that the last statement reads what they were compared with. (`held` and `moved` are not joined: Postgres
 * expects one row of each and would use a nested loop.)
 */
export function advance(place: Place, writes: readonly CheckpointWrite[]): string[] {
  const shardIds = writes.map(({ shardId }) => shardId);
  const unfenced = writes.filter(({ fence }) => fence === undefined);
  return [
    claim(place),
    addLeaseRows(
      place,
      unfenced.map(({ shardId }) => shardId),
    ),
    move(place, writes),
    readStored(place, shardIds),
  ];
}

/** Further conditions of a write at the end of a transaction. */
export interface TransactionEnd {
  /** The one shard that is written. */
  readonly shardId: string;
  /** The stored checkpoint, if any, must lie before this position. */
  readonly from: Position;
  /** A checkpoint at this position or beyond must be stored; `undefined` if none needs to be. */
  readonly after: Position | undefined;
  /** An SQL condition: the current transaction is the one that the handler's work is in. */
  readonly isThisOne: string;
}

/** Returns the shards that are `held`, and those that `moved`. */
export function move(
  place: Place,
  writes: readonly CheckpointWrite[],
  end?: TransactionEnd,
): string {
  return `${heldAndMoved(place, writes, end)}
    SELECT shard_id, 'held' AS what FROM held UNION ALL SELECT shard_id, 'moved' FROM moved`;
}

/** The prefix of the errors that keep a transaction from its COMMIT. They appear in the server's log too. */
const NO_COMMIT = "@kc: no COMMIT,";
const REFUSED = `${NO_COMMIT} the batch is stored already or the lease is lost`;
const ENDED = `${NO_COMMIT} the handler has ended its transaction`;

/** As `move`, for one shard. It fails unless the shard moved, so that the rest of the text is not run. */
export function moveOrFail(place: Place, write: CheckpointWrite, end: TransactionEnd): string {
  // A failing cast: plain SQL has no function that raises an error.
  return `${heldAndMoved(place, [write], end)}
    SELECT (CASE WHEN EXISTS (TABLE moved) THEN '1' WHEN ${end.isThisOne} THEN '${REFUSED}' ELSE '${ENDED}' END)::int`;
}

/**
 * The same statements under another search_path. The handler's search_path is restored afterwards, because the
 * deferred triggers of its statements run under it.
 */
export function inSearchPath(
  { quote }: Pick<Place, "quote">,
  searchPath: string,
  statements: readonly string[],
): readonly string[] {
  return [
    `SELECT set_config('kc.search_path', current_setting('search_path'), true)`,
    `SELECT set_config('search_path', ${quote(searchPath)}, true)`,
    ...statements,
    `SELECT set_config('search_path', current_setting('kc.search_path'), true)`,
  ];
}

/** Why `moveOrFail` failed; `undefined` if the error is not from it. */
export function commitRefusal(error: unknown): "refused" | "ended" | undefined {
  if (!(error instanceof Error) || !error.message.includes(NO_COMMIT)) return undefined;
  return error.message.includes(ENDED) ? "ended" : "refused";
}

function heldAndMoved(
  place: Place,
  writes: readonly CheckpointWrite[],
  end: TransactionEnd | undefined,
): string {
  const { tables, namespace, quote } = place;
  const rows = writes.map(({ shardId, checkpoint, fence }) => ({
    shard_id: shardId,
    ...checkpointJson(checkpoint),
    epoch: fence?.epoch ?? null,
    owner: fence?.owner ?? null,
  }));
  const isToMove = `${end === undefined ? order("excluded") : orderAt(place, end.from)} > ${order("c")}`;
  return `WITH held AS (
      SELECT w.*
      FROM json_to_recordset(${quote(JSON.stringify(rows))}::json)
        AS w (shard_id text, ${INPUT}, epoch bigint, owner text)
      JOIN ${tables.leases} AS l ON l.namespace = ${quote(namespace)} AND l.shard_id = w.shard_id
      WHERE l.owner IS NOT DISTINCT FROM w.owner AND (w.owner IS NULL OR l.epoch = w.epoch)
        AND NOT ${foreign(place)}${end === undefined ? "" : ` AND ${end.isThisOne}`}
      ORDER BY w.shard_id
      FOR NO KEY UPDATE OF l
    ), moved AS (${
      // UPDATE does not recreate a row that was deleted while it waited for its lock. The shard is named here,
      // because a join of the two would read all rows of the namespace.
      end?.after === undefined
        ? `
      INSERT INTO ${tables.checkpoints} AS c (${INSERT_COLUMNS})
      SELECT ${quote(namespace)}, ${INSERTED} FROM held ORDER BY shard_id
      ON CONFLICT (namespace, shard_id) DO UPDATE SET ${SET_CHECKPOINT} WHERE ${isToMove}`
        : `
      UPDATE ${tables.checkpoints} AS c SET ${SET_CHECKPOINT}
      FROM (SELECT ${quote(namespace)}, ${INSERTED} FROM held) AS excluded (${INSERT_COLUMNS})
      WHERE c.namespace = ${quote(namespace)} AND c.shard_id = ${quote(end.shardId)}
        AND ${isToMove} AND ${order("c")} >= ${orderAt(place, end.after)}`
    }
      RETURNING c.shard_id
    )`;
}

/** Reads the stored checkpoints of these shards. */
export function readStored(
  { tables, namespace, quote }: Place,
  shardIds: readonly string[],
): string {
  return `SELECT ${COLUMNS} FROM ${tables.checkpoints} WHERE namespace = ${quote(namespace)} AND shard_id =
      ANY (ARRAY(SELECT json_array_elements_text(${quote(JSON.stringify(shardIds))}::json)))`;
}

/** A position as a row value that compares with `order`, without `ahead`. */
function orderAt({ quote }: Place, { sequenceNumber, subSequenceNumber }: Position): string {
  const sub = String(subSequenceNumber ?? "9223372036854775807");
  return `(false, ${quote(sequenceNumber)}::numeric, ${quote(sub)}::bigint, '' COLLATE "C")`;
}

/** The state of a shard's rows for a write: locked by another transaction, missing, or free. */
export type RowState = "locked" | "absent" | "free";

/**
 * Returns the namespace's claim, and the state of each shard: `locked` if another transaction holds a lock for which
 * a write would wait; otherwise `absent` if one of its rows is missing. Free rows are locked until the call's end.
 */
export function readRowStates(place: Place, shardIds: readonly string[]): string[] {
  const { tables, namespace, quote } = place;
  const ids = quote(JSON.stringify(shardIds));
  const these = `namespace = ${quote(namespace)} AND shard_id =
      ANY (ARRAY(SELECT json_array_elements_text(${ids})))`;
  const free = (table: string): string =>
    `SELECT shard_id FROM ${table} WHERE ${these} FOR NO KEY UPDATE SKIP LOCKED`;
  const all = (table: string): string => `SELECT shard_id FROM ${table} WHERE ${these}`;
  return [
    claim(place),
    `WITH l AS (${free(tables.leases)}), c AS (${free(tables.checkpoints)}),
      all_l AS (${all(tables.leases)}), all_c AS (${all(tables.checkpoints)})
    SELECT shard_id, CASE
        WHEN (shard_id IN (TABLE all_l) AND shard_id NOT IN (TABLE l))
          OR (shard_id IN (TABLE all_c) AND shard_id NOT IN (TABLE c)) THEN 'locked'
        WHEN shard_id NOT IN (TABLE all_l) OR shard_id NOT IN (TABLE all_c) THEN 'absent'
        ELSE 'free' END AS state
    FROM json_array_elements_text(${ids}) AS w (shard_id)`,
  ];
}

/**
 * Returns the namespace's claim; an inserted free lease if there was none; the lease's owner, with the row locked; a
 * row if the reset was done. The lock is a separate statement, so that the reset sees the last checkpoint of the
 * former owner.
 */
export function reset(
  place: Place,
  shardId: string,
  to: Checkpoint | undefined,
  force: boolean,
): string[] {
  const { tables, namespace, quote } = place;
  const lease = `namespace = ${quote(namespace)} AND shard_id = ${quote(shardId)}`;
  return [
    claim(place),
    addLeaseRows(place, [shardId]),
    `SELECT owner FROM ${tables.leases} WHERE ${lease} FOR UPDATE`,
    `WITH freed AS (
      UPDATE ${tables.leases} SET epoch = epoch + 1, owner = NULL
      WHERE ${lease} AND (owner IS NULL OR ${String(force)}) AND NOT ${foreign(place)}
      RETURNING shard_id
    ), put AS (${to === undefined ? remove(place) : put(place, to)}),
    ${raiseRevision(place, "freed", "with a hint")}
    SELECT shard_id FROM freed`,
  ];
}

function remove({ tables, namespace, quote }: Place): string {
  return `DELETE FROM ${tables.checkpoints} AS c USING freed
    WHERE c.namespace = ${quote(namespace)} AND c.shard_id = freed.shard_id`;
}

function put({ tables, namespace, quote }: Place, to: Checkpoint): string {
  return `INSERT INTO ${tables.checkpoints} AS c (${INSERT_COLUMNS})
    SELECT ${quote(namespace)}, ${INSERTED}
    FROM freed, json_to_record(${quote(JSON.stringify(checkpointJson(to)))}::json) AS w (${INPUT})
    ON CONFLICT (namespace, shard_id) DO UPDATE SET ${SET_CHECKPOINT}`;
}

const APPLICATION_COLUMNS = `application, stream_name, stream_arn, stream_created_at, start,
  start_timestamp, started_at, migrated`;

/** The first statement returns a row if this call inserted it; the second reads the stored one. */
export function openApplication(
  { tables, namespace, quote }: Place,
  row: ApplicationRow,
): string[] {
  const ms = (column: string): string =>
    `round(extract(epoch FROM ${column}) * 1000)::bigint::text AS ${column}`;
  return [
    `INSERT INTO ${tables.applications} (namespace, ${APPLICATION_COLUMNS})
      SELECT ${quote(namespace)}, ${APPLICATION_COLUMNS}
      FROM json_to_record(${quote(JSON.stringify(applicationJson(row)))})
        AS w (application text, stream_name text, stream_arn text, stream_created_at timestamptz,
          start text, start_timestamp timestamptz, started_at timestamptz, migrated boolean)
      ON CONFLICT (namespace) DO NOTHING
      RETURNING namespace`,
    `SELECT application, stream_name, stream_arn, ${ms("stream_created_at")}, start,
        ${ms("start_timestamp")}, ${ms("started_at")}, migrated::text AS migrated
      FROM ${tables.applications} WHERE namespace = ${quote(namespace)}`,
  ];
}
