/**
 * The SQL that changes checkpoints. That of leases is in `lease-statements.ts`, what is read in
 * `look.ts`. Each statement is a transaction of its own: none stays open between two messages, so a
 * client that freezes or dies holds nothing.
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

/** What one shard's row of the checkpoints is to hold, in digits. */
export interface CheckpointColumns {
  readonly shardId: string;
  readonly sequenceNumber: bigint;
  /** The sequence number that the two below belong to. */
  readonly at: bigint | null;
  /** The aggregate that the position lies in, and the sequence number that it belongs to. */
  readonly inside: bigint | null;
  readonly whole: bigint | null;
  readonly subSequenceNumber: number | null;
  readonly shardEnd: 1 | null;
  /** What is done beyond the position, which stands in this text again. */
  readonly ahead: string | null;
}

/** A write, with the lease that it must find. */
export interface FencedColumns extends CheckpointColumns {
  /** Null = whatever it is. */
  readonly epoch: number | null;
  /** Null = no worker may hold the shard. */
  readonly owner: string | null;
}

/** What else has to be so for a write at the end of a transaction. */
export type TransactionEnd = Pick<TransactionalWrite, "from" | "after">;

/** The mark of a row that was missing, beside the one of a row that moved. */
export const putMark = (write: bigint): bigint => BigInt.asUintN(64, write + 1n);

const MAX_SUB_SEQUENCE_NUMBER = "18446744073709551615";

/**
 * Moves those checkpoints forward whose lease is that of the write, and marks each row that it moved
 * with `write`.
 *
 * The lease's row decides, under a shared lock for the length of this statement, whatever the
 * isolation level: either a claim waits for this write, and answers with it, or this write sees the
 * claim. The copy of the lease in the checkpoint's row is put where Go's library has wiped it: a
 * claim changes it too, so that servers which compare written rows when they commit (Galera, Group
 * Replication) let only one of the two through.
 *
 * Assignments are made in their order: the first says whether the row moves, in `kc_write`, and the
 * others go by that. So a row is changed if it moves, and left as it is otherwise: the server's count
 * of changed rows shows whether all of them moved. GREATEST keeps an end's number from going back. Inside an
 * aggregate Go's number may go back, to the last whole record: an earlier version has put the aggregate's.
 *
 * @param end only rows move that are before `from`. With `after` they move only if they are there, and at it or
 * beyond. MySQL has no statement that locks both rows and puts none: a row that was missing is put with the
 * mark of `putMark`, and the caller rolls back.
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
  // Without its database: it comes more than eighty times.
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

/** A collation that ignores case takes another namespace's or shard's row for ours. */
const isOurs = (row: string): string =>
  ["namespace", "shard_id"]
    .map((column) => `${hex(`${row}.${column}`)} = ${hex(`VALUES(${column})`)}`)
    .join(" AND ");

/**
 * Does the write come after what stands there, in core's order? What was added to Go's columns counts
 * only while `kc_at`, or inside an aggregate `kc_whole`, is the number. Numbers are compared as the column's own type: with a value of
 * any other type MariaDB compares doubles.
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

/** Is the record beyond what stands there? */
function isBefore(row: string, { sequenceNumber, subSequenceNumber }: Position): string {
  const number = literal(BigInt(sequenceNumber));
  const sub = subSequenceNumber ?? MAX_SUB_SEQUENCE_NUMBER;
  return `IF(${isCurrent(row)}, ${row}.kc_shard_end IS NULL, TRUE)
        AND (${numberOf(row)} < ${number}
          OR (${numberOf(row)} = ${number} AND ${subOf(row)} < ${sub}))`;
}

const isCurrent = (row: string): string => `${row}.kc_at <=> ${row}.sequence_number`;

/** The record's own number, or that of the aggregate that the position lies in. */
const numberOf = (row: string): string =>
  `IF(${isInside(row)}, ${row}.kc_inside, ${row}.sequence_number)`;

/** A whole record comes after all parts of it. */
const subOf = (row: string): string =>
  `IF(${isCurrent(row)} OR ${isInside(row)}, COALESCE(${row}.kc_sub_sequence_number, ${MAX_SUB_SEQUENCE_NUMBER}),
    ${MAX_SUB_SEQUENCE_NUMBER})`;

/**
 * The rows of leases and checkpoints that others have not locked, in the way that `advance` locks
 * them. The locks end with this statement.
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

/** A lease that was freed for a reset, and no claim has come since. */
export interface Freed {
  readonly shardId: string;
  readonly epoch: number;
}

const stillFree = ({ namespace }: Place, { shardId, epoch }: Freed): string =>
  `l.namespace = ${literal(namespace)} AND l.shard_id = ${literal(shardId)}
      AND l.epoch = ${epoch} AND l.owner IS NULL AND ${WRITABLE}`;

/** The first checkpoint of a shard whose lease was freed. One that came meanwhile is later, and stays. */
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

/** The checkpoint of a shard whose lease was freed. */
export function deleteCheckpoint(place: Place, freed: Freed): string {
  const { tables, namespace } = place;
  // Under its own name: see `aliased`.
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

/** Fails with ER_DUP_ENTRY where one stands already. `values` in the order of the columns. */
export function putApplication(
  { applications }: Tables,
  namespace: string,
  values: readonly (string | number | null)[],
): string {
  return `INSERT INTO ${applications} (namespace, application, stream_name, stream_arn,
      stream_created_at, start, start_timestamp, started_at, migrated)
    SELECT ${[namespace, ...values].map(literal).join(", ")} FROM DUAL WHERE ${WRITABLE}`;
}
