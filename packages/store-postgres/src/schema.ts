import type { Tables } from "./tables.ts";

/**
 * The schema's history, as idempotent statements. A released step is never edited, and steps only add, so that
 * two versions of this package can work on one schema. Postgres's catalogue shows which steps are needed. A
 * version number of our own would not show that a user of the Go library has recreated its table.
 *
 * The first table is the Go library's. The columns that we add to it are nullable.
 */
export function schemaSteps(tables: Tables): readonly string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${tables.checkpoints} (
  namespace text NOT NULL,
  shard_id text NOT NULL,
  sequence_number numeric NOT NULL,
  PRIMARY KEY (namespace, shard_id)
)`,
    `ALTER TABLE ${tables.checkpoints}
  ADD COLUMN IF NOT EXISTS kc_at numeric,
  ADD COLUMN IF NOT EXISTS kc_sub_sequence_number bigint,
  ADD COLUMN IF NOT EXISTS kc_shard_end boolean`,
    `CREATE TABLE IF NOT EXISTS ${tables.applications} (
  namespace text PRIMARY KEY,
  application text NOT NULL,
  stream_name text NOT NULL,
  stream_arn text NOT NULL,
  stream_created_at timestamptz,
  start text NOT NULL,
  start_timestamp timestamptz,
  started_at timestamptz NOT NULL,
  migrated boolean NOT NULL
)`,
    `CREATE TABLE IF NOT EXISTS ${tables.leases} (
  namespace text NOT NULL,
  shard_id text NOT NULL,
  epoch bigint NOT NULL CHECK (epoch >= 0),
  owner text,
  PRIMARY KEY (namespace, shard_id)
)`,
    `ALTER TABLE ${tables.leases}
  ADD COLUMN IF NOT EXISTS lineage text CHECK (length(lineage) <= 65536)`,
    `CREATE TABLE IF NOT EXISTS ${tables.workers} (
  namespace text NOT NULL,
  worker_id text NOT NULL,
  incarnation text NOT NULL,
  weight double precision NOT NULL CHECK (weight > 0 AND weight <= 1e9),
  max_shards bigint CHECK (max_shards >= 1),
  counter bigint NOT NULL CHECK (counter >= 0),
  PRIMARY KEY (namespace, worker_id)
)`,
    `CREATE TABLE IF NOT EXISTS ${tables.revisions} (
  namespace text PRIMARY KEY,
  revision bigint NOT NULL CHECK (revision >= 0)
)`,
    `ALTER TABLE ${tables.checkpoints}
  ADD COLUMN IF NOT EXISTS kc_ahead text`,
    `ALTER TABLE ${tables.checkpoints}
  ADD COLUMN IF NOT EXISTS kc_inside numeric,
  ADD COLUMN IF NOT EXISTS kc_whole numeric`,
  ];
}

/**
 * The fillfactor, in percent, of tables whose few rows are updated all the time. A row's next version then fits
 * on the same page, and no index has to change (HOT updates). A lease's row is inserted without an owner and
 * grows with its first claim, so its table needs more free space.
 */
const FILLED = { checkpoints: 45, leases: 30, workers: 50, revisions: 50 } as const;
type Rewritten = keyof typeof FILLED;
export const REWRITTEN = ["checkpoints", "leases", "workers", "revisions"] as const;

/** Autovacuum is triggered by a number of dead rows. A share of so few rows would be reached all the time. */
export function storageStep(tables: Tables, name: Rewritten): string {
  return `ALTER TABLE ${tables[name]}
  SET (fillfactor = ${FILLED[name]}, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)`;
}

/** All steps as one script, as in the README. */
export function ddl(tables: Tables): string {
  const storage = REWRITTEN.map((name) => storageStep(tables, name));
  return [...schemaSteps(tables), ...storage].map((step) => `${step};`).join("\n");
}
