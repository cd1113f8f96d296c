/**
 * The building blocks of all statements. Values are hexadecimal literals or digits, in statements and in answers, so
 * that no sql_mode, character set or pool option alters them.
 */
import type { WorkerIdentity } from "@kc/core";

export const TABLE_NAMES = [
  "checkpoints",
  "leases",
  "applications",
  "workers",
  "revisions",
] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** The names of the tables as they appear in SQL: quoted, with the database if one was given. */
export interface Tables extends Readonly<Record<TableName, string>> {
  /** Optional: created by `deadLetters().setup()`. */
  readonly deadLetters: string;
  /** The names as in the server's catalogue. */
  readonly names: Readonly<Record<TableName, string>>;
  /** `undefined` for the connection's own. */
  readonly database: string | undefined;
}

export function tablesOf(table: string, database: string | undefined): Tables {
  const names = {
    checkpoints: table,
    leases: `${table}_leases`,
    applications: `${table}_applications`,
    workers: `${table}_workers`,
    revisions: `${table}_revisions`,
  };
  const quoted = (name: string): string =>
    database === undefined ? identifier(name) : `${identifier(database)}.${identifier(name)}`;
  return {
    checkpoints: quoted(names.checkpoints),
    leases: quoted(names.leases),
    applications: quoted(names.applications),
    workers: quoted(names.workers),
    revisions: quoted(names.revisions),
    deadLetters: quoted(`${table}_dead_letters`),
    names,
    database,
  };
}

/** Quotes an identifier with backticks, which are valid in every sql_mode. */
export function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** What every statement is built from: the tables, and the namespace of the call's scope. */
export interface Place {
  readonly tables: Tables;
  readonly namespace: string;
  /**
   * Converts a shard's id to the character set and collation of the checkpoints table. The Go library's table may have
   * others than ours, and without the conversion its index would not be used.
   */
  readonly asShardId: (expression: string) => string;
  /** True if its owner added columns to the checkpoints table. A trigger may then change a row that does not move. */
  readonly hasUserColumns: boolean;
}

export type Value = string | number | bigint | null;

/** The literal of a value. A whole number of up to 65 digits is an exact decimal. */
export function literal(value: Value): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return `_utf8mb4 X'${Buffer.from(value).toString("hex")}'`;
  return String(value);
}

export const list = (values: readonly string[]): string => values.map(literal).join(", ");
export const hex = (column: string): string => `HEX(CONVERT(${column} USING utf8mb4))`;

export const isWorker = (row: string, { workerId, incarnation }: WorkerIdentity): string =>
  `${row}.worker_id = ${literal(workerId)} AND ${row}.incarnation = ${literal(incarnation)}`;

/**
 * A table under an alias, or under its own name. A multi-table DELETE must use the latter: the server resolves an
 * alias in the connection's default database, and there may be none.
 */
export const aliased = (table: string, name: string): string =>
  table === name ? table : `${table} AS ${name}`;

/** Rows of values as a derived table. Joins with it look up one key for each row, in this order. */
export function valuesTable(
  alias: string,
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
): string {
  const selects = rows.map((row, index) => {
    const values = row.map(literal);
    const named = values.map((value, column) => `${value} AS ${columns[column]}`);
    return `SELECT ${(index === 0 ? named : values).join(", ")}`;
  });
  return `(${selects.join(" UNION ALL ")}) AS ${alias}`;
}

/**
 * True on a server that accepts writes. Every change requires it, because a privileged user's writes would succeed on
 * a replica too. The variables are 0 or 1; in MariaDB 12 they are names.
 */
export const WRITABLE = `CONCAT(@@global.read_only) IN ('0', 'OFF')
    AND CONCAT(@@global.innodb_read_only) IN ('0', 'OFF')`;

/**
 * True if the row's position lies inside the aggregate `kc_inside`. Earlier versions of this package write the
 * aggregate's own number and `kc_at`, and leave `kc_inside` and `kc_whole` as they were.
 */
export const isInside = (row: string): string =>
  `(${row}.kc_at IS NULL AND ${row}.kc_whole <=> ${row}.sequence_number
        AND ${row}.kc_sub_sequence_number IS NOT NULL)`;

/** MySQL executes the first comment, MariaDB the second. */
export const SHARED_LOCK = "/*!80000 FOR SHARE */ /*M! LOCK IN SHARE MODE */";
