/**
 * The SQL of checkpoints; that of leases is in `lease-statements.ts`. Values stand in the statements as hexadecimal literals or as digits, and answers come
 * back as hexadecimal or digits too: no sql_mode, character set or option of a pool changes them.
 */

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
    names,
    database,
  };
}

/** Backticks are an identifier's quotes in every sql_mode. */
function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** A value's literal. A whole number of up to 65 digits is an exact decimal. */
export function literal(value: string | number | bigint | null): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return `_utf8mb4 X'${Buffer.from(value).toString("hex")}'`;
  return String(value);
}

export const list = (values: readonly string[]): string => values.map(literal).join(", ");
export const hex = (column: string): string => `HEX(CONVERT(${column} USING utf8mb4))`;

/** Is this the primary, and who has the namespace: of a row `a` of the applications. */
export const PLACE = `@@global.read_only AS read_only,
      @@global.innodb_read_only AS innodb_read_only,
      ${hex("a.application")} AS application, ${hex("a.stream_name")} AS stream_name`;

/** What one shard's row of the checkpoints is to hold, in digits. */
export interface CheckpointColumns {
  readonly shardId: string;
  readonly sequenceNumber: bigint;
  /** The sequence number that the two below belong to. */
  readonly at: bigint | null;
  readonly subSequenceNumber: number | null;
  readonly shardEnd: 1 | null;
}

/**
 * Who has the namespace, and its checkpoints: of all shards, or of some. Always one row at least.
 * Reads no row's lock: under the shards' locks it sees what was committed before they were taken.
 */
export function readCheckpoints(
  { checkpoints, applications }: Tables,
  namespace: string,
  shardIds?: readonly string[],
): string {
  const some = shardIds === undefined ? "" : `AND c.shard_id IN (${list(shardIds)})`;
  return `SELECT ${PLACE}, ${hex("c.namespace")} AS namespace, ${hex("c.shard_id")} AS shard_id,
      CAST(c.sequence_number AS CHAR) AS sequence_number, c.kc_at = c.sequence_number AS is_current,
      c.kc_sub_sequence_number, c.kc_shard_end
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN ${applications} AS a ON a.namespace = ${literal(namespace)}
    LEFT JOIN ${checkpoints} AS c ON c.namespace = ${literal(namespace)} ${some}`;
}

/**
 * Locks the shards' lease rows until the transaction ends. NOWAIT: the caller waits by trying again,
 * so that a call which gave up leaves nothing waiting in the server.
 */
export function lockShards(
  { leases }: Tables,
  namespace: string,
  shardIds: readonly string[],
): string {
  return `SELECT ${hex("l.shard_id")} AS shard_id, l.epoch, ${hex("l.owner")} AS owner,
      ${hex("l.lineage")} AS lineage
    FROM ${leases} AS l FORCE INDEX (PRIMARY)
    WHERE l.namespace = ${literal(namespace)} AND l.shard_id IN (${list(shardIds)})
    ORDER BY l.shard_id FOR UPDATE NOWAIT`;
}

/** Lease rows of shards that nobody ever held, so that there is something to lock. */
export function addShards(
  { leases }: Tables,
  namespace: string,
  shardIds: readonly string[],
): string {
  const rows = shardIds.map((shardId) => `(${list([namespace, shardId])}, 0)`);
  return `INSERT INTO ${leases} (namespace, shard_id, epoch) VALUES ${rows.join(", ")}
    ON DUPLICATE KEY UPDATE epoch = epoch`;
}

/**
 * Only under the shards' locks. GREATEST: if Go's library has moved a number further since it was
 * read, that number stays, and what we add belongs to another one. Both are decimals of the column's
 * type: with a value of any other type MariaDB compares doubles.
 */
export function writeCheckpoints(
  { checkpoints }: Tables,
  namespace: string,
  rows: readonly CheckpointColumns[],
): string {
  const values = rows.map(
    ({ shardId, sequenceNumber, at, subSequenceNumber, shardEnd }) =>
      `(${[namespace, shardId, sequenceNumber, at, subSequenceNumber, shardEnd].map(literal).join(", ")})`,
  );
  return `INSERT INTO ${checkpoints}
      (namespace, shard_id, sequence_number, kc_at, kc_sub_sequence_number, kc_shard_end)
    VALUES ${values.join(", ")}
    ON DUPLICATE KEY UPDATE
      sequence_number = GREATEST(sequence_number, VALUES(sequence_number)),
      kc_at = VALUES(kc_at),
      kc_sub_sequence_number = VALUES(kc_sub_sequence_number),
      kc_shard_end = VALUES(kc_shard_end)`;
}

export function deleteCheckpoints(
  { checkpoints }: Tables,
  namespace: string,
  shardIds: readonly string[],
): string {
  return `DELETE FROM ${checkpoints}
    WHERE namespace = ${literal(namespace)} AND shard_id IN (${list(shardIds)})`;
}

/** Takes the lease away: whoever held it is fenced out. */
export function raiseEpoch({ leases }: Tables, namespace: string, shardId: string): string {
  return `UPDATE ${leases} SET epoch = epoch + 1, owner = NULL
    WHERE namespace = ${literal(namespace)} AND shard_id = ${literal(shardId)}`;
}

export function readApplication({ applications }: Tables, namespace: string): string {
  return `SELECT ${hex("application")} AS application, ${hex("stream_name")} AS stream_name,
      ${hex("stream_arn")} AS stream_arn, stream_created_at, ${hex("start")} AS start,
      start_timestamp, started_at, migrated
    FROM ${applications} WHERE namespace = ${literal(namespace)}`;
}

/** Fails with ER_DUP_ENTRY where one stands already. `values` in the order of the columns. */
export function putApplication(
  { applications }: Tables,
  namespace: string,
  values: readonly (string | number | null)[],
): string {
  return `INSERT INTO ${applications} (namespace, application, stream_name, stream_arn,
      stream_created_at, start, start_timestamp, started_at, migrated)
    VALUES (${[namespace, ...values].map(literal).join(", ")})`;
}
