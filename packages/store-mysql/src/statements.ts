/**
 * The SQL that changes checkpoints. That of leases is in `lease-statements.ts`, and reads are in `snapshot.ts`. Each
 * statement is a transaction of its own. None stays open between two round trips, so a client that freezes or dies
 * holds no lock.
 */
import type { Position, StoreScope, TransactionalWrite } from "@kc/core";
import {
  hex,
  identifier,
  isInside,
  literal,
  SHARED_LOCK,
  valuesTable,
  WRITABLE,
  type Place,
  type Tables,
} from "./sql.ts";

/** The values of one shard's row in the checkpoints table. */
export interface CheckpointColumns {
  readonly shardId: string;
  readonly sequenceNumber: bigint;
  /** The sequence number that `subSequenceNumber` and `shardEnd` belong to. */
  readonly at: bigint | null;
  /** The aggregate that the position lies in, and the last whole record before it. */
  readonly inside: bigint | null;
  readonly whole: bigint | null;
  readonly subSequenceNumber: number | null;
  readonly shardEnd: 1 | null;
  /** The records done beyond the position. The text repeats the position. */
  readonly ahead: string | null;
}

/** A write, with the lease that it requires. */
export interface FencedColumns extends CheckpointColumns {
  /** NULL if any epoch is accepted. */
  readonly epoch: number | null;
  /** NULL if no worker may hold the shard. */
  readonly owner: string | null;
}

/** Further conditions of a write at the end of a transaction. */
export type TransactionEnd = Pick<TransactionalWrite, "from" | "after">;

/** The mark of a row that was missing and got inserted, as opposed to `write`, the mark of a row that moved. */
export const putMark = (write: bigint): bigint => BigInt.asUintN(64, write + 1n);

const MAX_SUB_SEQUENCE_NUMBER = "18446744073709551615";

/**
 * Moves checkpoints forward if the lease matches the write's fence, and marks each row that it moves with `write`.
 *
 * The lease's row decides. It is read under a shared lock for the duration of this statement, at every isolation
 * level: either a claim waits for this write and returns its checkpoint, or this write sees the claim. The statement
 * also restores the copy of the lease in the checkpoint's row, which the Go library may have wiped. A claim changes
 * that copy too, so that servers which certify written rows at commit (Galera, Group Replication) accept only one of
 * the two.
 *
 * Assignments run in their order: the first one decides in `kc_write` whether the row moves, and the others follow
 * it. So a row is changed only if it moves, and the server's count of changed rows shows whether all of them moved.
 * GREATEST prevents an end's number from going back. Inside an aggregate, `sequence_number` may go back to the last
 * whole record, if an earlier version wrote the aggregate's number.
 *
 * @param end rows move only if they lie before `from`. With `after`, they move only if they exist and lie at it or
 * beyond. MySQL has no statement that locks both rows without inserting one: a missing row is inserted with the mark
 * of `putMark`, and the caller rolls back.
 */
export function advance(
  { tables, namespace }: Place,
  scope: StoreScope,
  writes: readonly FencedColumns[],
  write: bigint,
  end?: TransactionEnd,
): string {
  const { checkpoints, leases, applications, names } = tables;
  const rows = writes.map(
    ({ shardId, sequenceNumber: n, at, inside, whole, subSequenceNumber: sub, ...rest }) => {
      const { shardEnd, ahead, epoch, owner } = rest;
      return [shardId, n, at, inside, whole, sub, shardEnd, ahead, epoch, owner] as const;
    },
  );
  const places = ["n", "at_n", "inside", "whole"];
  const columns = ["shard_id", ...places, "sub", "ended", "ahead", "epoch", "owner"];
  // Without the database, for brevity: the name is repeated more than eighty times.
  const c = identifier(names.checkpoints);
  const isToMove = [
    moves(c),
    ...(end === undefined ? [] : [isBefore(c, end.from)]),
    ...(end?.after === undefined ? [] : [`NOT (${isBefore(c, end.after)})`]),
  ].join(" AND ");
  const put = end?.after === undefined ? write : putMark(write);
  const set = (column: string, value: string): string =>
    `${c}.${column} = IF(${c}.kc_write <=> ${write}, ${value}, ${c}.${column})`;
  return `INSERT INTO ${checkpoints} (namespace, shard_id, sequence_number, kc_at, kc_inside, kc_whole,
      kc_sub_sequence_number, kc_shard_end, kc_ahead, kc_epoch, kc_owner, kc_write)
    SELECT ${literal(namespace)}, x.shard_id, x.n, x.at_n, x.inside, x.whole, x.sub, x.ended, x.ahead,
      l.epoch, l.owner, ${put}
    FROM ${valuesTable("x", columns, rows)}
    STRAIGHT_JOIN ${leases} AS l FORCE INDEX (PRIMARY)
      ON l.namespace = ${literal(namespace)} AND l.shard_id = x.shard_id
    WHERE l.owner <=> x.owner AND (x.epoch IS NULL OR l.epoch = x.epoch) AND ${WRITABLE}
      AND NOT EXISTS (SELECT 1 FROM ${applications} AS a WHERE a.namespace = ${literal(namespace)}
        AND (a.application <> ${literal(scope.application)}
          OR a.stream_name <> ${literal(scope.streamName)}))
    LOCK IN SHARE MODE
    ON DUPLICATE KEY UPDATE
      ${c}.kc_write = IF(${isToMove}, ${write}, ${c}.kc_write),
      ${set("sequence_number", `IF(VALUES(kc_shard_end) IS NULL, VALUES(sequence_number), GREATEST(${c}.sequence_number, VALUES(sequence_number)))`)},
      ${set("kc_at", `IF(VALUES(kc_at) IS NULL, NULL, ${c}.sequence_number)`)},
      ${set("kc_inside", "VALUES(kc_inside)")},
      ${set("kc_whole", "VALUES(kc_whole)")},
      ${set("kc_sub_sequence_number", "VALUES(kc_sub_sequence_number)")},
      ${set("kc_shard_end", "VALUES(kc_shard_end)")},
      ${set("kc_ahead", "VALUES(kc_ahead)")},
      ${set("kc_epoch", "VALUES(kc_epoch)")},
      ${set("kc_owner", "VALUES(kc_owner)")}`;
}

/** Excludes another namespace's or shard's row, which a collation that ignores case would match. */
const isOurs = (row: string): string =>
  ["namespace", "shard_id"]
    .map((column) => `${hex(`${row}.${column}`)} = ${hex(`VALUES(${column})`)}`)
    .join(" AND ");

/**
 * True if the write comes after the stored checkpoint, in core's order. Our columns are valid only while `kc_at`, or
 * `kc_whole` inside an aggregate, equals `sequence_number`. Numbers are compared in the column's own type: with any
 * other type, MariaDB compares doubles.
 */
function moves(row: string): string {
  const counts = isCurrent(row);
  const position = "SUBSTRING_INDEX(VALUES(kc_ahead), ':', 1)";
  const ahead = `IF(SUBSTRING_INDEX(${row}.kc_ahead, ':', 1) = ${position}, ${row}.kc_ahead, '')`;
  const newSub = `COALESCE(VALUES(kc_sub_sequence_number), ${MAX_SUB_SEQUENCE_NUMBER})`;
  const newNumber = "COALESCE(VALUES(kc_inside), VALUES(sequence_number))";
  const [number, sub] = [numberOf(row), subOf(row)];
  return `${isOurs(row)}
        AND IF(${counts}, ${row}.kc_shard_end IS NULL, TRUE)
        AND (VALUES(kc_shard_end) IS NOT NULL
          OR ${newNumber} > ${number}
          OR (${newNumber} = ${number}
            AND (${newSub} > ${sub}
              OR (${newSub} = ${sub} AND VALUES(kc_ahead) > COALESCE(${ahead}, '')))))`;
}

/** True if the stored checkpoint lies before the position. */
function isBefore(row: string, { sequenceNumber, subSequenceNumber }: Position): string {
  const number = literal(BigInt(sequenceNumber));
  const sub = subSequenceNumber ?? MAX_SUB_SEQUENCE_NUMBER;
  return `IF(${isCurrent(row)}, ${row}.kc_shard_end IS NULL, TRUE)
        AND (${numberOf(row)} < ${number}
          OR (${numberOf(row)} = ${number} AND ${subOf(row)} < ${sub}))`;
}

const isCurrent = (row: string): string => `${row}.kc_at <=> ${row}.sequence_number`;

/** The number of the record, or of the aggregate that the position lies in. */
const numberOf = (row: string): string =>
  `IF(${isInside(row)}, ${row}.kc_inside, ${row}.sequence_number)`;

/** The sub-sequence number. That of a whole record is the largest, since it comes after its user records. */
const subOf = (row: string): string =>
  `IF(${isCurrent(row)} OR ${isInside(row)}, COALESCE(${row}.kc_sub_sequence_number, ${MAX_SUB_SEQUENCE_NUMBER}),
    ${MAX_SUB_SEQUENCE_NUMBER})`;

/**
 * Selects the rows of leases and checkpoints that no other transaction has locked, with the same locks as `advance`.
 * They are released at the statement's end.
 */
export function lockFreeRows(
  { tables, namespace, asShardId }: Place,
  shardIds: readonly string[],
): string {
  const rows = shardIds.map((shardId) => [shardId]);
  const select = (what: "lease" | "checkpoint", table: string, id: string): string =>
    `SELECT '${what}' AS what, ${hex("r.shard_id")} AS shard_id
    FROM ${valuesTable("x", ["shard_id"], rows)}
    STRAIGHT_JOIN ${table} AS r FORCE INDEX (PRIMARY)
      ON r.namespace = ${literal(namespace)} AND r.shard_id = ${id}`;
  return `(${select("lease", tables.leases, "x.shard_id")} ${SHARED_LOCK} SKIP LOCKED)
    UNION ALL
    (${select("checkpoint", tables.checkpoints, asShardId("x.shard_id"))} FOR UPDATE SKIP LOCKED)
    LIMIT 18446744073709551615`;
}

/** A lease that was freed for a reset and has not been claimed since. */
export interface Freed {
  readonly shardId: string;
  readonly epoch: number;
}

const stillFree = ({ namespace }: Place, { shardId, epoch }: Freed): string =>
  `l.namespace = ${literal(namespace)} AND l.shard_id = ${literal(shardId)}
      AND l.epoch = ${epoch} AND l.owner IS NULL AND ${WRITABLE}`;

/** Inserts the first checkpoint of a shard whose lease was freed. One that was written meanwhile is later, and stays. */
export function putCheckpoint(place: Place, row: CheckpointColumns, freed: Freed): string {
  const { tables, namespace } = place;
  const { shardId, sequenceNumber, at, inside, whole, subSequenceNumber: sub } = row;
  const position = [shardId, sequenceNumber, at, inside, whole, sub];
  const values = [namespace, ...position, row.shardEnd, row.ahead];
  return `INSERT INTO ${tables.checkpoints} (namespace, shard_id, sequence_number, kc_at, kc_inside,
      kc_whole, kc_sub_sequence_number, kc_shard_end, kc_ahead, kc_epoch, kc_owner)
    SELECT ${values.map(literal).join(", ")}, l.epoch, l.owner
    FROM ${tables.leases} AS l FORCE INDEX (PRIMARY)
    WHERE ${stillFree(place, freed)}
    LOCK IN SHARE MODE
    ON DUPLICATE KEY UPDATE ${tables.checkpoints}.kc_epoch = VALUES(kc_epoch)`;
}

/** Deletes the checkpoint of a shard whose lease was freed. */
export function deleteCheckpoint(place: Place, freed: Freed): string {
  const { tables, namespace } = place;
  // Not aliased: see `aliased`.
  const c = tables.checkpoints;
  return `DELETE ${c} FROM ${tables.leases} AS l FORCE INDEX (PRIMARY)
    STRAIGHT_JOIN ${c} FORCE INDEX (PRIMARY)
      ON ${c}.namespace = ${literal(namespace)} AND ${c}.shard_id = ${literal(freed.shardId)}
    WHERE ${stillFree(place, freed)}`;
}

export function readApplication({ applications }: Tables, namespace: string): string {
  return `SELECT ${hex("application")} AS application, ${hex("stream_name")} AS stream_name,
      ${hex("stream_arn")} AS stream_arn, stream_created_at, ${hex("start")} AS start,
      start_timestamp, started_at, migrated
    FROM ${applications} WHERE namespace = ${literal(namespace)} LIMIT 1`;
}

/** Fails with ER_DUP_ENTRY if there is one already. @param values in the order of the columns */
export function putApplication(
  { applications }: Tables,
  namespace: string,
  values: readonly (string | number | null)[],
): string {
  return `INSERT INTO ${applications} (namespace, application, stream_name, stream_arn,
      stream_created_at, start, start_timestamp, started_at, migrated)
    SELECT ${[namespace, ...values].map(literal).join(", ")} FROM DUAL WHERE ${WRITABLE}`;
}
