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
 * MySQL has no transactions over DDL: a half-done upgrade is possible, and a version's number would
 * lie about it. So the schema is compared as it stands, and `setup()` adds what is missing. What was
 * released is never taken away or changed; what comes later is added to these lists.
 */
interface TableShape {
  readonly table: TableName;
  /** Without these it is somebody else's table, and is left alone. */
  readonly columns: readonly Column[];
  /** Nullable: these are added to a table that Go's library made, or an older version of this package. */
  readonly added: readonly Column[];
  readonly key: readonly string[];
  /** What rows of a table that `setup()` creates must fulfil. */
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

/** Brings the schema up to `SCHEMA`. Another process may do the same at the same time. */
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

/** What the tables can hold, and where they are: a handler may turn its connection to another database. */
export interface CheckedSchema extends Limits {
  /** With their database. */
  readonly tables: Tables;
}

/** @throws StoreError STORE_SCHEMA if something is missing, or is not what it has to be. */
export async function readCheckedSchema(session: Session, tables: Tables): Promise<CheckedSchema> {
  const rows = await session.read(inspectionStatement(tables));
  const inspection = inspectionOf(rows, tables);
  const unseen = SCHEMA.find(({ table }) => !inspection[table]?.columns.length);
  // The catalogue does not show what one may not use: the server says what it is.
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
 * The statements that make the schema whole; none if it is.
 * @throws StoreError STORE_SCHEMA if a table of that name is somebody else's
 */
export function missingSteps(inspection: Inspection, tables: Tables): readonly string[] {
  return SCHEMA.flatMap((shape) => {
    const { table, columns, added } = shape;
    const standing = inspection[table];
    if (standing === undefined) return [createTable(shape, tables)];
    const names = new Set(standing.columns.map(({ name }) => name));
    const lacking = columns.filter(([name]) => !names.has(name)).map(([name]) => name);
    if (lacking.length > 0) {
      throw schemaError(
        `${tables[table]} has no ${lacking.join(", no ")}: it is somebody else's. Choose another table`,
      );
    }
    const missing = added.filter(([name]) => !names.has(name));
    if (missing.length === 0) return [];
    const parts = missing.map(([name, type]) => `ADD COLUMN ${name} ${type}`);
    return [`ALTER TABLE ${tables[table]} ${parts.join(", ")}`];
  });
}

/**
 * utf8mb4_bin on every server: case and accents count. Spaces at the end are refused elsewhere. Checks
 * have short names: those that MySQL makes up are too long for a long table's name.
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
 * @throws StoreError STORE_SCHEMA if something is missing, or is not what it has to be
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
