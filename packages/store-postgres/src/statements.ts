/**
 * The SQL of checkpoints; that of leases is in `lease-statements.ts`. A call is a list of statements that go to the server in one
 * text: one round trip and, since Postgres puts such a text into one transaction, all or nothing.
 * Under READ COMMITTED each statement sees what was committed before it began, those included that
 * committed while the one before waited for a lock.
 *
 * The text contains the values, quoted by the driver: a text of several statements has no parameters.
 */
import type { ApplicationRow, Checkpoint, CheckpointWrite, Position } from "@kc/core";
import type { Place } from "./calls.ts";
import { raiseRevision } from "./revision.ts";
import { applicationJson, checkpointJson } from "./rows.ts";

/**
 * What was added to the Go library's table. It counts only while `kc_at` is the sequence number:
 * when Go writes another one, it leaves these as they were. What is done beyond a position has that
 * position in its own text, since earlier versions of this package know nothing of it.
 *
 * A position inside an aggregate has no `kc_at`: Go's column then has the last whole record, which
 * `kc_whole` repeats, and the aggregate is `kc_inside`. To Go, and to earlier versions of this package,
 * which wrote the aggregate's number and `kc_at`, the position is that whole record.
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
 * core's order of checkpoints as one row value: a shard's end after every number, a whole record
 * after its user records, at one position by what is done beyond it.
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

/** A shard's end has the number of its last record, or keeps the one that stood there, or has 0. */
const SET_CHECKPOINT = `sequence_number = CASE WHEN excluded.kc_shard_end
      THEN greatest(c.sequence_number, excluded.sequence_number) ELSE excluded.sequence_number END,
    kc_at = CASE WHEN excluded.kc_shard_end
      THEN greatest(c.sequence_number, excluded.sequence_number) ELSE excluded.kc_at END,
    kc_inside = excluded.kc_inside, kc_whole = excluded.kc_whole,
    kc_sub_sequence_number = excluded.kc_sub_sequence_number,
    kc_shard_end = excluded.kc_shard_end, kc_ahead = excluded.kc_ahead`;

const INSERT_COLUMNS = `namespace, shard_id, sequence_number, kc_at, kc_inside, kc_whole,
  kc_sub_sequence_number, kc_shard_end, kc_ahead`;

/** Of a row that has what `checkpointJson` makes. */
const INSERTED = `shard_id, sequence_number,
      CASE WHEN inside IS NULL THEN sequence_number END, inside,
      CASE WHEN inside IS NOT NULL THEN sequence_number END, sub_sequence_number, shard_end, ahead`;
const INPUT = `sequence_number numeric, inside numeric, sub_sequence_number bigint,
          shard_end boolean, ahead text`;

/** The owner of the namespace: no row if it has none yet. */
export function claim({ tables, namespace, quote }: Place): string {
  return `SELECT application, stream_name FROM ${tables.applications}
    WHERE namespace = ${quote(namespace)}`;
}

/** True where the namespace is another scope's: nothing may then be written. */
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
 * A free lease for each shard that has no lease at all: a write without a fence locks
 * it, and so a first claim, which cannot lock a row that is not there, waits for that write.
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
 * Moves checkpoints forward: the claim, the leases, which shards were `held` (their lease is that of
 * the write) and which of these `moved`, and what stands then.
 *
 * `held` locks leases, and after a wait for a lock Postgres looks at the row as it then is: either a
 * claim waits for this write, or this write sees the claim. `EXISTS (lease)` would look at the row
 * as it was. Two writers of a shard wait for each other here, as they would at the checkpoint's row:
 * a shared lock would make a multixact of the two, and each one brings the server nearer to a vacuum
 * of all its tables. The rows that did not move are locked as well: the last statement reads what they
 * were compared with. (`held` and `moved` are not joined: Postgres expects one row of each, and would
 * compare each with each.)
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

/** What else has to be so for a write at the end of a transaction. */
export interface TransactionEnd {
  /** The one shard that is written. */
  readonly shardId: string;
  /** No checkpoint stands, or one before this position. */
  readonly from: Position;
  /** One does stand, at this position or beyond; undefined = none needs to. */
  readonly after: Position | undefined;
  /** SQL that says whether the transaction is the one that the work is in. */
  readonly isThisOne: string;
}

/** Answers with the shards that are `held`, and with those that `moved`. */
export function move(
  place: Place,
  writes: readonly CheckpointWrite[],
  end?: TransactionEnd,
): string {
  return `${heldAndMoved(place, writes, end)}
    SELECT shard_id, 'held' AS what FROM held UNION ALL SELECT shard_id, 'moved' FROM moved`;
}

/** Begins the texts by which a transaction is kept from its COMMIT. They are found in the server's log too. */
const NO_COMMIT = "@kc: no COMMIT,";
const REFUSED = `${NO_COMMIT} the batch is stored already or the lease is lost`;
const ENDED = `${NO_COMMIT} the handler has ended its transaction`;

/** As `move`, of one shard; fails unless it moved, so that nothing behind it in the text is run. */
export function moveOrFail(place: Place, write: CheckpointWrite, end: TransactionEnd): string {
  // Postgres has no other function in SQL that raises an error.
  return `${heldAndMoved(place, [write], end)}
    SELECT (CASE WHEN EXISTS (TABLE moved) THEN '1' WHEN ${end.isThisOne} THEN '${REFUSED}' ELSE '${ENDED}' END)::int`;
}

/**
 * The same statements by another search_path. The one before is set again: deferred triggers of the handler's
 * statements run by it.
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

/** Why `moveOrFail` has failed; undefined = the error is another one. */
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
      // A row that is gone is not put again: UPDATE looks for it again after a wait for its lock. The shard is
      // named, for a join of the two would read all rows of the namespace.
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

/** The checkpoints that stand, of these shards. */
export function readStored(
  { tables, namespace, quote }: Place,
  shardIds: readonly string[],
): string {
  return `SELECT ${COLUMNS} FROM ${tables.checkpoints} WHERE namespace = ${quote(namespace)} AND shard_id =
      ANY (ARRAY(SELECT json_array_elements_text(${quote(JSON.stringify(shardIds))}::json)))`;
}

/** A position in the form of `order`, without what is done beyond it: greater = a checkpoint is before it. */
function orderAt({ quote }: Place, { sequenceNumber, subSequenceNumber }: Position): string {
  const sub = String(subSequenceNumber ?? "9223372036854775807");
  return `(false, ${quote(sequenceNumber)}::numeric, ${quote(sub)}::bigint, '' COLLATE "C")`;
}

/** What a write of a shard would find: a row that it would wait for, or lacks, or has for itself. */
export type RowState = "locked" | "absent" | "free";

/**
 * The claim, and the state of each of these shards: `locked` if another transaction has locked a row
 * of it, in the way that a write would wait for; else `absent` if a row of it is missing. What is free
 * is locked until this call's end.
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
 * The claim; a free lease if there is none; the lease's owner, locked; and then the reset, which
 * answers with a row if it was done. The lock comes first in a statement of its own: the next one
 * sees the checkpoint of its owner until then.
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

/** A row comes back from the first if this call put it; the second reads the one that stands. */
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
