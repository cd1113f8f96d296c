import { StoreError } from "@kc/core";
import type { Session } from "./driver.ts";

/**
 * The schema's history: step n upgrades version n - 1 to n. A released step is never edited.
 *
 * A checkpoint is absent (no number and no end), a position, or a shard's end. `epoch` and `owner` are the fence. They
 * are in the checkpoint's own row, so that one statement can compare and write. Times are milliseconds since 1970.
 */
export const SCHEMA_STEPS: readonly string[] = [
  `CREATE TABLE kc_checkpoints (
     application TEXT NOT NULL,
     stream_name TEXT NOT NULL,
     shard_id TEXT NOT NULL,
     sequence_number TEXT,
     sub_sequence_number INTEGER CHECK (sub_sequence_number >= 0),
     shard_end INTEGER NOT NULL DEFAULT 0 CHECK (shard_end IN (0, 1)),
     epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
     owner TEXT,
     PRIMARY KEY (application, stream_name, shard_id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE kc_applications (
     application TEXT NOT NULL,
     stream_name TEXT NOT NULL,
     stream_arn TEXT NOT NULL,
     stream_created_at INTEGER,
     start TEXT NOT NULL,
     start_timestamp INTEGER,
     started_at INTEGER NOT NULL,
     migrated INTEGER NOT NULL,
     PRIMARY KEY (application, stream_name)
   ) STRICT, WITHOUT ROWID;`,
  // Leases: a row with a lineage is a lease's row. The live workers, and the group's revision.
  `ALTER TABLE kc_checkpoints ADD COLUMN lineage TEXT CHECK (length(lineage) <= 65536);
   CREATE TABLE kc_workers (
     application TEXT NOT NULL,
     stream_name TEXT NOT NULL,
     worker_id TEXT NOT NULL,
     incarnation TEXT NOT NULL,
     counter INTEGER NOT NULL CHECK (counter >= 0),
     weight REAL NOT NULL CHECK (weight > 0 AND weight <= 1e9),
     max_shards INTEGER CHECK (max_shards >= 1),
     PRIMARY KEY (application, stream_name, worker_id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE kc_groups (
     application TEXT NOT NULL,
     stream_name TEXT NOT NULL,
     revision INTEGER NOT NULL CHECK (revision >= 0),
     PRIMARY KEY (application, stream_name)
   ) STRICT, WITHOUT ROWID;`,
  // The records done beyond a position.
  `ALTER TABLE kc_checkpoints ADD COLUMN ahead TEXT CHECK (length(ahead) <= 65536)`,
];

/** 0 if there is no schema. It is in a table of its own, because `PRAGMA user_version` belongs to the file's owner. */
export function schemaVersion(session: Session): number {
  const tables = session.query("SELECT 1 FROM sqlite_master WHERE name = 'kc_schema'");
  if (tables.length === 0) return 0;
  const [row] = session.query("SELECT max(version) AS version FROM kc_schema");
  return Number(row?.["version"] ?? 0);
}

/** True if the file contains no table, index or view. */
export function isEmptyDatabase(session: Session): boolean {
  return session.query("SELECT 1 FROM sqlite_master LIMIT 1").length === 0;
}

/** Upgrades the schema to the last step, in one transaction. @throws StoreError STORE_SCHEMA if it is newer */
export function migrate(session: Session, steps: readonly string[]): void {
  if (checkNotNewer(schemaVersion(session), steps) === steps.length) return;
  session.write(() => {
    // Read again under the lock: another process may have upgraded it meanwhile.
    const version = checkNotNewer(schemaVersion(session), steps);
    session.database.exec("CREATE TABLE IF NOT EXISTS kc_schema (version INTEGER NOT NULL) STRICT");
    for (const [index, step] of [...steps.entries()].slice(version)) {
      session.database.exec(step);
      session.database.exec(`INSERT INTO kc_schema (version) VALUES (${index + 1})`);
    }
  });
}

/** @throws StoreError STORE_SCHEMA unless the schema is the one that this package writes. */
export function checkSchema(session: Session, steps: readonly string[], where: string): void {
  const version = checkNotNewer(schemaVersion(session), steps);
  if (version === steps.length) return;
  const state = version === 0 ? "has no tables of @kc/store-sqlite" : `has schema ${version}`;
  throw new StoreError(
    "STORE_SCHEMA",
    `${where} ${state}, and schema ${steps.length} is needed: run \`await store.setup()\` once`,
  );
}

function checkNotNewer(version: number, steps: readonly string[]): number {
  if (version <= steps.length) return version;
  throw new StoreError(
    "STORE_SCHEMA",
    `the schema is version ${version}, this @kc/store-sqlite knows up to ${steps.length}: upgrade it`,
  );
}
