import { StoreError } from "@kc/core";
import type { Session } from "./driver.ts";
import { isDuplicateColumn, isLock, isMissingTable, toStoreError } from "./errors.ts";
import {
  databaseOf,
  inspectionOf,
  limitsOf,
  inspectionStatement,
  schemaError,
  type Inspection,
  type Limits,
} from "./inspection.ts";
import { identifier, tablesOf, type TableName, type Tables } from "./sql.ts";

/**
 * MySQL has no transactional DDL: an upgrade may stop half-way, and a version number would then be wrong. So `setup()`
 * compares the existing tables with these lists, and adds what is missing. Released entries are never removed or
 * changed; new ones are added.
 */
interface TableShape {
  readonly table: TableName;
  /** A table without these belongs to another program, and is left as it is. */
  readonly columns: readonly Column[];
  /** Nullable columns that are added to a table of the Go library or of an older version of this package. */
  readonly added: readonly Column[];
  readonly key: readonly string[];
  /** The CHECK constraints of a table that `setup()` creates. */
  readonly checks: readonly string[];
}

type Column = readonly [name: string, type: string];

const NAMESPACE = ["namespace", "varchar(384) NOT NULL"] as const;
const SHARD_ID = ["shard_id", "varchar(255) NOT NULL"] as const;

export const SCHEMA: readonly TableShape[] = [
  {
    table: "checkpoints",
    columns: [NAMESPACE, SHARD_ID, ["sequence_number", "decimal(65,0) NOT NULL"]],
    added: [
      ["kc_at", "decimal(65,0) NULL"],
      ["kc_sub_sequence_number", "bigint unsigned NULL"],
      ["kc_shard_end", "tinyint NULL"],
      ["kc_epoch", "bigint unsigned NULL"],
      ["kc_owner", "varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"],
      ["kc_write", "bigint unsigned NULL"],
      ["kc_ahead", "varchar(4352) CHARACTER SET ascii COLLATE ascii_bin NULL"],
      ["kc_inside", "decimal(65,0) NULL"],
      ["kc_whole", "decimal(65,0) NULL"],
    ],
    key: ["namespace", "shard_id"],
    checks: [],
  },
  {
    table: "leases",
    columns: [
      NAMESPACE,
      SHARD_ID,
      ["epoch", "bigint unsigned NOT NULL"],
      ["owner", "varchar(512) NULL"],
    ],
    added: [["lineage", "text NULL"]],
    key: ["namespace", "shard_id"],
    checks: [],
  },
  {
    table: "applications",
    columns: [
      NAMESPACE,
      ["application", "varchar(255) NOT NULL"],
      ["stream_name", "varchar(255) NOT NULL"],
      ["stream_arn", "varchar(2048) NOT NULL"],
      ["stream_created_at", "bigint NULL"],
      ["start", "varchar(16) NOT NULL"],
      ["start_timestamp", "bigint NULL"],
      ["started_at", "bigint NOT NULL"],
      ["migrated", "tinyint NOT NULL"],
    ],
    added: [],
    key: ["namespace"],
    checks: [],
  },
  {
    table: "workers",
    columns: [
      NAMESPACE,
      ["worker_id", "varchar(255) NOT NULL"],
      ["incarnation", "varchar(255) NOT NULL"],
      ["weight", "double NOT NULL"],
      ["max_shards", "bigint NULL"],
      ["counter", "bigint NOT NULL"],
    ],
    added: [],
    key: ["namespace", "worker_id"],
    checks: ["weight > 0 AND weight <= 1e9", "max_shards >= 1", "counter >= 0"],
  },
  {
    table: "revisions",
    columns: [NAMESPACE, ["revision", "bigint NOT NULL"]],
    added: [],
    key: ["namespace"],
    checks: ["revision >= 0"],
  },
];

const CHECKPOINT_COLUMNS: ReadonlySet<string> = new Set(
  SCHEMA.filter(({ table }) => table === "checkpoints").flatMap(({ columns, added }) =>
    [...columns, ...added].map(([name]) => name),
  ),
);

/** Adds what the tables lack of `SCHEMA`. Other processes may do the same concurrently. */
export async function migrate(session: Session, tables: Tables): Promise<void> {
  const inspection = inspectionOf(await session.read(inspectionStatement(tables)), tables);
  for (const statement of missingSteps(inspection, tables)) {
    try {
      await session.define(statement);
    } catch (error) {
      if (isDuplicateColumn(error)) continue;
      if (isLock(error)) throw error;
      const { code, retryable, message } = toStoreError(error);
      throw new StoreError(code, `${message}. The statement was:\n${statement};`, {
        retryable,
        cause: error,
      });
    }
  }
  await readCheckedSchema(session, tables);
}

/** What the tables can hold, and their database, because a handler may change its connection's default one. */
export interface CheckedSchema extends Limits {
  /** The names with their database. */
  readonly tables: Tables;
}

/** Reads and checks the schema. @throws StoreError STORE_SCHEMA if something is missing or has another type. */
export async function readCheckedSchema(session: Session, tables: Tables): Promise<CheckedSchema> {
  const rows = await session.read(inspectionStatement(tables));
  const inspection = inspectionOf(rows, tables);
  const unseen = SCHEMA.find(({ table }) => !inspection[table]?.columns.length);
  // The catalogue hides tables that this user may not use. A query makes the server report the reason.
  if (unseen) {
    await session.read(`SELECT 1 FROM ${tables[unseen.table]} LIMIT 0`).catch(unlessMissing);
  }
  const limits = checkSchema(inspection, tables);
  return { ...limits, tables: tablesOf(tables.names.checkpoints, databaseOf(rows)) };
}

function unlessMissing(error: unknown): void {
  if (!isMissingTable(error)) throw error;
}

/**
 * The statements that complete the schema; none if it is complete.
 * @throws StoreError STORE_SCHEMA if a table of that name belongs to another program
 */
export function missingSteps(inspection: Inspection, tables: Tables): readonly string[] {
  return SCHEMA.flatMap((shape) => {
    const { table, columns, added } = shape;
    const existing = inspection[table];
    if (existing === undefined) return [createTable(shape, tables)];
    const names = new Set(existing.columns.map(({ name }) => name));
    const lacking = columns.filter(([name]) => !names.has(name)).map(([name]) => name);
    if (lacking.length > 0) {
      throw schemaError(
        `${tables[table]} has no ${lacking.join(", no ")}: it belongs to another program. Choose another table`,
      );
    }
    const missing = added.filter(([name]) => !names.has(name));
    if (missing.length === 0) return [];
    const parts = missing.map(([name, type]) => `ADD COLUMN ${name} ${type}`);
    return [`ALTER TABLE ${tables[table]} ${parts.join(", ")}`];
  });
}

/**
 * utf8mb4_bin on every server, so that case and accents count; `checkFit` refuses trailing spaces. The constraints
 * have short names, because those that MySQL generates would be too long for a table with a long name.
 */
function createTable({ table, columns, added, key, checks }: TableShape, tables: Tables): string {
  const parts = [
    ...[...columns, ...added].map(([column, type]) => `${column} ${type}`),
    `PRIMARY KEY (${key.join(", ")})`,
    ...checks.map((check, i) => {
      return `CONSTRAINT ${identifier(`${tables.names[table]}_${i + 1}`)} CHECK (${check})`;
    }),
  ];
  return (
    `CREATE TABLE IF NOT EXISTS ${tables[table]} (\n${parts.map((part) => `  ${part}`).join(",\n")}\n` +
    ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
  );
}

/**
 * What the tables can hold.
 * @throws StoreError STORE_SCHEMA if something is missing or has another type, engine or key
 */
export function checkSchema(inspection: Inspection, tables: Tables): Limits {
  const missing = missingSteps(inspection, tables);
  if (missing.length > 0) {
    throw schemaError(
      `the tables are not complete: run \`await store.setup()\` once, or\n${missing.join(";\n")};`,
    );
  }
  for (const { table, key } of SCHEMA) {
    const { engine, columns } = inspection[table]!;
    if (engine.toLowerCase() !== "innodb") {
      throw schemaError(
        `${tables[table]} has the engine ${engine}, which has no transactions: run\n` +
          `ALTER TABLE ${tables[table]} ENGINE=InnoDB;`,
      );
    }
    const primary = columns.filter(({ inKey }) => inKey).map(({ name }) => name);
    if (primary.toSorted().join() !== key.toSorted().join()) {
      throw schemaError(`${tables[table]} needs the primary key (${key.join(", ")})`);
    }
  }
  return limitsOf(inspection.checkpoints!, tables.checkpoints, CHECKPOINT_COLUMNS);
}
