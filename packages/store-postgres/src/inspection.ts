import { StoreError } from "@kc/core";
import type { PostgresRows } from "./driver.ts";
import { REWRITTEN, schemaSteps, storageStep } from "./schema.ts";
import type { Tables } from "./tables.ts";

const TEXT: readonly string[] = ["text", "character varying"];
const TIME: readonly string[] = ["timestamp with time zone"];

/** The required columns of each table, and their accepted types. */
const COLUMNS: Readonly<Record<Table, Readonly<Record<string, readonly string[]>>>> = {
  checkpoints: {
    namespace: TEXT,
    shard_id: TEXT,
    sequence_number: ["numeric"],
    kc_at: ["numeric"],
    kc_sub_sequence_number: ["bigint"],
    kc_shard_end: ["boolean"],
    kc_ahead: TEXT,
    kc_inside: ["numeric"],
    kc_whole: ["numeric"],
  },
  applications: {
    namespace: TEXT,
    application: TEXT,
    stream_name: TEXT,
    stream_arn: TEXT,
    stream_created_at: TIME,
    start: TEXT,
    start_timestamp: TIME,
    started_at: TIME,
    migrated: ["boolean"],
  },
  leases: { namespace: TEXT, shard_id: TEXT, epoch: ["bigint"], owner: TEXT, lineage: TEXT },
  workers: {
    namespace: TEXT,
    worker_id: TEXT,
    incarnation: TEXT,
    weight: ["double precision"],
    max_shards: ["bigint"],
    counter: ["bigint"],
  },
  revisions: { namespace: TEXT, revision: ["bigint"] },
};

const KEYS: Readonly<Record<Table, readonly string[]>> = {
  checkpoints: ["namespace", "shard_id"],
  applications: ["namespace"],
  leases: ["namespace", "shard_id"],
  workers: ["namespace", "worker_id"],
  revisions: ["namespace"],
};

/** Columns that the steps add to an existing table. */
const ADDED: Readonly<Partial<Record<Table, RegExp>>> = {
  checkpoints: /^kc_/,
  leases: /^lineage$/,
};

const NAMES = ["checkpoints", "applications", "leases", "workers", "revisions"] as const;
type Table = (typeof NAMES)[number];

/** The state of the tables, from the catalogue. */
export interface Inspection {
  /** False if the configured schema does not exist. */
  readonly hasSchema: boolean;
  /** Whether a table exists under the name in lower case, to which unquoted SQL folds it. */
  readonly hasFolded: boolean;
  readonly tables: Readonly<Record<Table, TableFound | undefined>>;
}

interface TableFound {
  readonly columns: ReadonlyMap<string, string>;
  /** The columns of each unique index, sorted. */
  readonly keys: readonly string[];
  /** True if a fillfactor is set already: it is left as it is. */
  readonly hasFillfactor: boolean;
}

/** The four statements whose rows `inspectionOf` reads. */
export function inspectionStatements(
  tables: Tables,
  quote: (value: string) => string,
): readonly string[] {
  const found = NAMES.map((name) => `(${quote(name)}, to_regclass(${quote(tables[name])}))`);
  const values = `(VALUES ${found.join(", ")}) AS t (name, oid)`;
  const schema = tables.schema === undefined ? "'pg_catalog'" : quote(tables.schema);
  return [
    `SELECT (to_regnamespace(${schema}) IS NOT NULL)::text AS has_schema,
      (to_regclass(${quote(tables.folded)}) IS NOT NULL)::text AS has_folded`,
    `SELECT t.name, a.attname::text AS column, format_type(a.atttypid, NULL) AS type
      FROM ${values} JOIN pg_attribute AS a ON a.attrelid = t.oid
      WHERE a.attnum > 0 AND NOT a.attisdropped`,
    `SELECT t.name, (SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM pg_attribute AS a
        WHERE a.attrelid = t.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) AS key
      FROM ${values} JOIN pg_index AS i ON i.indrelid = t.oid
      WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL`,
    `SELECT t.name FROM ${values} JOIN pg_class AS c ON c.oid = t.oid
      WHERE c.reloptions::text LIKE '%fillfactor=%' OR c.relkind <> 'r'`,
  ];
}

export function inspectionOf([first, columns, keys, filled]: readonly PostgresRows[]): Inspection {
  const table = (name: Table): TableFound | undefined => {
    const own = columns!.filter((row) => row["name"] === name);
    if (own.length === 0) return undefined;
    return {
      columns: new Map(own.map((row) => [String(row["column"]), String(row["type"])])),
      keys: keys!.filter((row) => row["name"] === name).map((row) => String(row["key"])),
      hasFillfactor: filled!.some((row) => row["name"] === name),
    };
  };
  return {
    hasSchema: first![0]?.["has_schema"] === "true",
    hasFolded: first![0]?.["has_folded"] === "true",
    tables: {
      checkpoints: table("checkpoints"),
      applications: table("applications"),
      leases: table("leases"),
      workers: table("workers"),
      revisions: table("revisions"),
    },
  };
}

/** Statements that bring the tables up to date. */
export interface MissingSteps {
  /** The store does not work without these. */
  readonly required: readonly string[];
  /** Without these the store works, but its tables grow. */
  readonly storage: readonly string[];
}

/**
 * The steps that are missing until every table is complete.
 * @throws StoreError STORE_SCHEMA if no step would help: a table belongs to another program
 */
export function missingSteps(inspection: Inspection, tables: Tables, where: string): MissingSteps {
  const { checkpoints } = inspection.tables;
  if (checkpoints === undefined && inspection.hasFolded) {
    throw new StoreError(
      "STORE_SCHEMA",
      `${where} does not exist, but ${tables.folded} does. Names are case-sensitive here, and SQL with an ` +
        `unquoted name, such as the Go library's, uses the latter. If that table is meant, set the option "table" to its name`,
    );
  }
  const problems = NAMES.flatMap((name) => problemsOf(name, inspection, tables));
  if (problems.length > 0) {
    throw new StoreError(
      "STORE_SCHEMA",
      `${problems.join("; ")}. If the table belongs to another program, choose another name with the option "table"`,
    );
  }
  const complete = NAMES.every((name) =>
    Object.keys(COLUMNS[name]).every((column) => inspection.tables[name]?.columns.has(column)),
  );
  const storage = REWRITTEN.filter((name) => inspection.tables[name]?.hasFillfactor !== true).map(
    (name) => storageStep(tables, name),
  );
  if (complete) return { required: [], storage };
  const createSchema = inspection.hasSchema ? [] : [`CREATE SCHEMA IF NOT EXISTS ${tables.schema}`];
  return { required: [...createSchema, ...schemaSteps(tables)], storage };
}

/** The problems that the steps cannot fix: only our own columns can be added to an existing table. */
function problemsOf(name: Table, inspection: Inspection, tables: Tables): readonly string[] {
  const found = inspection.tables[name];
  if (found === undefined) return [];
  const addable = ADDED[name];
  const columns = Object.entries(COLUMNS[name]).flatMap(([column, types]) => {
    const type = found.columns.get(column);
    if (type === undefined ? addable?.test(column) : types.includes(type)) return [];
    return `${tables[name]} has ${type === undefined ? "no" : `as ${type} its`} column ${column}, which must be ${types[0]}`;
  });
  const key = KEYS[name];
  if (columns.length > 0 || found.keys.includes(key.toSorted().join(","))) return columns;
  const statement = `ALTER TABLE ${tables[name]} ADD PRIMARY KEY (${key.join(", ")})`;
  return [`${tables[name]} has no unique key: run ${statement}`];
}
