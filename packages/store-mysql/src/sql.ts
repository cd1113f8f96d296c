/**
 * The parts of all statements. They contain values as hexadecimal literals or as digits, and
 * answers come back as hexadecimal or digits too: no sql_mode, character set or option of a pool
 * changes them.
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

/** How statements call the tables: quoted, with the database where one was given. */
export interface Tables extends Readonly<Record<TableName, string>> {
  /** Made on demand, by a set-up of its own. */
  readonly deadLetters: string;
  /** How the server's catalogue calls them. */
  readonly names: Readonly<Record<TableName, string>>;
  /** Undefined = the connection's. */
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

/** Backticks are an identifier's quotes in every sql_mode. */
export function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** Where a call's rows stand: the tables, and the namespace of its scope. */
export interface Place {
  readonly tables: Tables;
  readonly namespace: string;
  /**
   * A shard's id of one of our tables as the checkpoints' table has it: Go's may have another
   * character set or collation, and an id of ours would find no row of it by its key.
   */
  readonly asShardId: (expression: string) => string;
  /** Has the checkpoints' table columns of its owner's? A trigger may then change a row that does not move. */
  readonly hasUserColumns: boolean;
}

export type Value = string | number | bigint | null;

/** A value's literal. A whole number of up to 65 digits is an exact decimal. */
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
 * A table under an alias, or under its own name. What a DELETE of several tables names must be the
 * latter: the server looks for an alias in the connection's database, which may have none.
 */
export const aliased = (table: string, name: string): string =>
  table === name ? table : `${table} AS ${name}`;

/** Rows of values as a table: they are joined with one look-up by the key for each, in their order. */
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
 * True on a server that takes writes. Every change asks for it: a privileged user's would go through
 * on a replica too. Its answer is 0 or 1, and a name in MariaDB 12.
 */
export const WRITABLE = `CONCAT(@@global.read_only) IN ('0', 'OFF')
    AND CONCAT(@@global.innodb_read_only) IN ('0', 'OFF')`;

/**
 * Does the row's position lie inside an aggregate, `kc_inside`? Earlier versions of this package leave
 * `kc_inside` and `kc_whole` as they were, and wrote the aggregate's own number, and `kc_at`.
 */
export const isInside = (row: string): string =>
  `(${row}.kc_at IS NULL AND ${row}.kc_whole <=> ${row}.sequence_number
        AND ${row}.kc_sub_sequence_number IS NOT NULL)`;

/** MySQL reads the first comment, MariaDB the second. */
export const SHARED_LOCK = "/*!80000 FOR SHARE */ /*M! LOCK IN SHARE MODE */";
