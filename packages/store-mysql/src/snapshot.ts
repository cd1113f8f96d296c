/** A consistent snapshot of the tables, read by one statement that waits for no lock. */
import type { LeaseRow, StoreScope, WorkerIdentity, WorkerRow } from "@kc/core";
import type { MysqlRow, Session } from "./driver.ts";
import {
  checkPlace,
  checkShards,
  checkpointsOf,
  leasesOf,
  textOf,
  workersOf,
  type StoredCheckpoint,
  type StoredLease,
} from "./rows.ts";
import {
  hex,
  isInside,
  isWorker,
  list,
  literal,
  SHARED_LOCK,
  WRITABLE,
  type Place,
} from "./sql.ts";

/** Which rows to read: all of the namespace, or some. None if absent. */
export interface RowSelection {
  readonly workers?: "all" | WorkerIdentity;
  readonly leases?: "all" | readonly string[];
  readonly checkpoints?: "all" | readonly string[];
}

export interface Snapshot {
  /** 0 if nothing was ever written. */
  readonly revision: number;
  readonly workers: readonly WorkerRow[];
  /** By shard. A lease without a lineage was inserted by a write of a checkpoint, as something to lock. */
  readonly leases: ReadonlyMap<string, StoredLease>;
  /** The shards that have a checkpoint's row, whatever it contains. */
  readonly stored: ReadonlySet<string>;
  /** By shard. @throws StoreError STORE_CORRUPT when it is read */
  readonly checkpoints: ReadonlyMap<string, StoredCheckpoint>;
}

/**
 * @throws NamespaceConflictError if another scope has claimed the namespace
 * @throws StoreError STORE_UNAVAILABLE if the server is read-only; STORE_SCHEMA if the table's collation cannot
 * distinguish the shards
 */
export async function readSnapshot(
  session: Session,
  place: Place,
  scope: StoreScope,
  wanted: RowSelection,
): Promise<Snapshot> {
  return snapshotOf(await session.read(snapshotStatement(place, wanted)), place, scope, wanted);
}

/** The snapshot from the rows of `snapshotStatement`. @throws as `readSnapshot` */
export function snapshotOf(
  rows: readonly MysqlRow[],
  place: Place,
  scope: StoreScope,
  wanted: RowSelection,
): Snapshot {
  const of = (what: What): readonly MysqlRow[] =>
    rows.filter((row) => row["what"] === String(WHAT[what]));
  const [head] = of("place");
  const checkpoints = of("checkpoint");
  checkPlace(head, checkpoints, scope, place.namespace);
  const stored = new Set(checkpoints.map((row) => textOf(row["shard_id"]) ?? ""));
  if (Array.isArray(wanted.checkpoints)) checkShards(wanted.checkpoints, stored);
  return {
    revision: Number(head?.["revision"] ?? 0),
    workers: workersOf(of("worker")),
    leases: leasesOf(of("lease")),
    stored,
    get checkpoints() {
      return checkpointsOf(checkpoints);
    },
  };
}

/** The leases that a group sees: those with a lineage. */
export function leaseRows({ leases, checkpoints }: Snapshot): readonly LeaseRow[] {
  return [...leases].flatMap(([shardId, { lineage, epoch, owner }]) => {
    if (lineage === undefined) return [];
    const checkpoint = checkpoints.get(shardId)?.checkpoint;
    return [{ shardId, lineage, epoch, owner, checkpoint }];
  });
}

const WHAT = { place: 1, worker: 2, lease: 3, checkpoint: 4 } as const;
type What = keyof typeof WHAT;

/** MySQL executes the first comment, MariaDB the second. */
const ISOLATION = "/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */";

/** The columns of all parts of the statement. Each part leaves the others' columns NULL. */
const COLUMNS = [
  "what",
  "writable",
  "uncommitted",
  "application",
  "stream_name",
  "revision",
  "worker_id",
  "incarnation",
  "weight",
  "max_shards",
  "counter",
  "shard_id",
  "epoch",
  "owner",
  "lineage",
  "namespace",
  "sequence_number",
  "is_current",
  "is_inside",
  "kc_inside",
  "kc_sub_sequence_number",
  "kc_shard_end",
  "kc_ahead",
  "kc_write",
] as const;
type Column = (typeof COLUMNS)[number];

interface Part {
  readonly what: What;
  readonly columns: Readonly<Partial<Record<Column, string>>>;
  readonly from: string;
}

/**
 * Reads what was committed when the statement began. `locking` is for use within a transaction whose own snapshot may
 * be older: rows of shards are read as they are now, and stay locked until its end. Every value is then cast to text,
 * because libraries round large numbers.
 *
 * The LIMIT overrides `sql_select_limit`, which would silently drop rows.
 */
export function snapshotStatement(
  place: Place,
  { workers, leases, checkpoints }: RowSelection,
  mode?: "locking",
): string {
  const parts = [placePart(place)];
  if (workers !== undefined) parts.push(workersPart(place, workers));
  if (leases !== undefined) parts.push(leasesPart(place, leases));
  if (checkpoints !== undefined) parts.push(checkpointsPart(place, checkpoints));
  const selects = parts.map((part) => (mode === "locking" ? lockingSelect(part) : select(part)));
  return `${selects.join("\nUNION ALL ")}\nLIMIT 18446744073709551615`;
}

function select({ what, columns, from }: Part, text = (value: string) => value): string {
  const values = { ...columns, what: String(WHAT[what]) };
  const selected = COLUMNS.map((column) => {
    const value = values[column];
    return `${value === undefined ? "NULL" : text(value)} AS ${column}`;
  });
  return `SELECT ${selected.join(", ")} FROM ${from}`;
}

/** The application's row is not locked: the store's user may lack the right to lock it. */
function lockingSelect(part: Part): string {
  const lock = part.what === "place" ? "" : SHARED_LOCK;
  return `(${select(part, (value) => `CAST(${value} AS CHAR)`)} ${lock})`;
}

/** Always one row: whether the server is writable, the namespace's claim, and the revision. */
function placePart({ tables, namespace }: Place): Part {
  return {
    what: "place",
    columns: {
      writable: `(${WRITABLE})`,
      uncommitted: `${ISOLATION} = 'READ-UNCOMMITTED'`,
      application: hex("a.application"),
      stream_name: hex("a.stream_name"),
      revision: "r.revision",
    },
    from: `(SELECT 1 AS one) AS one
    LEFT JOIN ${tables.applications} AS a ON a.namespace = ${literal(namespace)}
    LEFT JOIN ${tables.revisions} AS r ON r.namespace = ${literal(namespace)}`,
  };
}

function workersPart({ tables, namespace }: Place, workers: "all" | WorkerIdentity): Part {
  const own = workers === "all" ? "" : `AND ${isWorker("w", workers)}`;
  return {
    what: "worker",
    columns: {
      worker_id: hex("w.worker_id"),
      incarnation: hex("w.incarnation"),
      weight: "w.weight",
      max_shards: "w.max_shards",
      counter: "w.counter",
    },
    from: `${tables.workers} AS w WHERE w.namespace = ${literal(namespace)} ${own}`,
  };
}

function leasesPart({ tables, namespace }: Place, shardIds: "all" | readonly string[]): Part {
  return {
    what: "lease",
    columns: {
      shard_id: hex("l.shard_id"),
      epoch: "l.epoch",
      owner: hex("l.owner"),
      lineage: hex("l.lineage"),
    },
    from: `${tables.leases} AS l WHERE l.namespace = ${literal(namespace)} ${some("l", shardIds)}`,
  };
}

function checkpointsPart({ tables, namespace }: Place, shardIds: "all" | readonly string[]): Part {
  return {
    what: "checkpoint",
    columns: {
      namespace: hex("c.namespace"),
      shard_id: hex("c.shard_id"),
      sequence_number: "CAST(c.sequence_number AS CHAR)",
      is_current: "c.kc_at = c.sequence_number",
      is_inside: isInside("c"),
      kc_inside: "CAST(c.kc_inside AS CHAR)",
      kc_sub_sequence_number: "c.kc_sub_sequence_number",
      kc_shard_end: "c.kc_shard_end",
      kc_ahead: "c.kc_ahead",
      kc_write: "c.kc_write",
    },
    from: `${tables.checkpoints} AS c WHERE c.namespace = ${literal(namespace)} ${some("c", shardIds)}`,
  };
}

const some = (row: string, shardIds: "all" | readonly string[]): string =>
  shardIds === "all" ? "" : `AND ${row}.shard_id IN (${list(shardIds)})`;
