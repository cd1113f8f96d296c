import { StoreError } from "@kc/core";
import type { MysqlRow } from "./driver.ts";
import { literal, TABLE_NAMES, type TableName, type Tables } from "./sql.ts";

interface Column {
  readonly name: string;
  readonly type: string;
  readonly length: number;
  readonly characterSet: string | null;
  readonly collation: string | null;
  readonly inKey: boolean;
}

export interface TableFound {
  readonly engine: string;
  readonly columns: readonly Column[];
}

/** The state of our tables, from the server's catalogue. */
export type Inspection = Readonly<Partial<Record<TableName, TableFound>>>;

/** What the checkpoints table can hold. The Go library's is narrower than ours, and its text may be Latin-1. */
export interface Limits {
  readonly namespaceLength: number;
  readonly shardIdLength: number;
  readonly digits: number;
  readonly unicode: boolean;
  /** For this one and the next, see `Place`. */
  readonly hasUserColumns: boolean;
  readonly asShardId: (expression: string) => string;
}

/** Returns a row for each column, or a single row if there is no table. */
export function inspectionStatement({ names, database }: Tables): string {
  const schema = database === undefined ? "DATABASE()" : literal(database);
  return `SELECT t.table_name AS table_name, t.engine AS engine, c.column_name AS column_name,
      c.column_type AS column_type, c.character_maximum_length AS length,
      c.character_set_name AS character_set, c.collation_name AS collation,
      c.column_key AS column_key, @@lower_case_table_names AS folds_names, ${schema} AS db
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN information_schema.tables AS t
      ON t.table_schema = ${schema} AND t.table_name IN (${Object.values(names).map(literal).join(", ")})
    LEFT JOIN information_schema.columns AS c
      ON c.table_schema = t.table_schema AND c.table_name = t.table_name
    LIMIT 18446744073709551615`;
}

/** The database in which the tables were searched. */
export function databaseOf(rows: readonly MysqlRow[]): string | undefined {
  return rows[0]?.["db"] ?? undefined;
}

export function inspectionOf(rows: readonly MysqlRow[], { names }: Tables): Inspection {
  const fold = (name: string): string =>
    rows[0]?.["folds_names"] === "0" ? name : name.toLowerCase();
  const found = (name: string): TableFound | undefined => {
    const own = rows.filter(({ table_name: table }) => table != null && fold(table) === fold(name));
    const columns = own.filter(({ column_name: column }) => column != null).map(columnOf);
    return own[0] && { engine: own[0]["engine"] ?? "", columns };
  };
  const inspection: { -readonly [Table in TableName]?: TableFound } = {};
  for (const table of TABLE_NAMES) {
    const existing = found(names[table]);
    if (existing) inspection[table] = existing;
  }
  return inspection;
}

function columnOf(row: MysqlRow): Column {
  return {
    name: (row["column_name"] ?? "").toLowerCase(),
    type: (row["column_type"] ?? "").toLowerCase(),
    length: Number(row["length"]),
    characterSet: row["character_set"] ?? null,
    collation: row["collation"] ?? null,
    inKey: row["column_key"] === "PRI",
  };
}

/** @param ours the columns that this package knows */
export function limitsOf(
  { columns }: TableFound,
  table: string,
  ours: ReadonlySet<string>,
): Limits {
  const column = (name: string): Column => columns.find((each) => each.name === name)!;
  const names = [column("namespace"), column("shard_id")] as const;
  const digits = /^decimal\((\d+),0\)/.exec(column("sequence_number").type)?.[1];
  // A sequence number of Kinesis has 56 digits.
  if (digits === undefined || Number(digits) < 56) {
    throw schemaError(
      `${table}.sequence_number is ${column("sequence_number").type}, which cannot hold a ` +
        `sequence number: run\nALTER TABLE ${table} MODIFY sequence_number decimal(65,0) NOT NULL;`,
    );
  }
  return {
    namespaceLength: charactersOf(names[0]),
    shardIdLength: charactersOf(names[1]),
    digits: Number(digits),
    hasUserColumns: columns.some(({ name }) => !ours.has(name)),
    unicode: names.every(({ characterSet }) => (characterSet ?? "utf8mb4") === "utf8mb4"),
    asShardId: conversionTo(names[1]),
  };
}

/** Converts a text to the column's character set and collation, so that its index is used. */
function conversionTo({ characterSet, collation }: Column): Limits["asShardId"] {
  if (characterSet === null || collation === null) {
    return (expression) => `CAST(CONVERT(${expression} USING utf8mb4) AS BINARY)`;
  }
  return (expression) => `CONVERT(${expression} USING ${characterSet}) COLLATE ${collation}`;
}

/** A binary column's length is in bytes. */
function charactersOf({ length, characterSet }: Column): number {
  return characterSet === null ? Math.floor(length / 4) : length;
}

export function schemaError(detail: string): StoreError {
  return new StoreError("STORE_SCHEMA", `MySQL: ${detail}`);
}
