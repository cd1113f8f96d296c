import { randomBytes } from "node:crypto";
import { Consumer, type TransactionalStore } from "@kc/core";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { Canned, STREAM } from "./read/canned.ts";
import { median } from "./rounds.ts";
import { startServices } from "./services.ts";

/** Records per batch, and the number of measured batches. */
const SIZES = [
  { maxRecords: 1, batches: 200 },
  { maxRecords: 50, batches: 30 },
  { maxRecords: 500, batches: 10 },
] as const;
const ROUNDS = 5;
/**
 * Enough for the largest batches and one more, in few pages, because a shard is read only a few
 * times a second.
 */
const PAGES = { shards: 1, pages: 2, records: 3000, bytes: 100 };
const PAYLOAD = Buffer.alloc(100, 7).toString("hex");
const DATABASE = "bench_transactions";

/** Runs one statement, with a single value or none. */
type Run = (statement: string, value?: string) => Promise<unknown>;

/** A database with its store, and a connection like the store's. */
interface Database<Tx> extends AsyncDisposable {
  readonly run: Run;
  /** Runs statements with a handler's `tx`. */
  readonly runIn: (tx: Tx) => Run;
  readonly insert: string;
  readonly open: () => TransactionalStore<Tx> & AsyncDisposable & { setup(): Promise<void> };
}

interface Measures {
  /** Wall-clock time per record, in microseconds. */
  readonly alone: number;
  readonly scanTransaction: number;
  /** Median over the rounds, each of which runs both. */
  readonly ratio: number;
}

/**
 * One INSERT per record, in transactions of different sizes: by `scanTransaction`, with its
 * checkpoint, and by a loop of `BEGIN`, the same inserts and `COMMIT` on the same kind of
 * connection, without consumer, checkpoint and records. Databases and stream run in separate
 * processes.
 */
export async function benchTransactions(): Promise<Record<string, object>> {
  await using services = await startServices();
  await using stream = await Canned.start(PAGES);
  await using postgres = await openPostgres(services.postgres);
  await using mariadb = await openMysql(services.mariadb);
  return { postgres: await measured(postgres, stream), mariadb: await measured(mariadb, stream) };
}

async function measured<Tx>(
  database: Database<Tx>,
  stream: Canned,
): Promise<Record<string, Measures>> {
  const all: Record<string, Measures> = {};
  for (const { maxRecords, batches } of SIZES) {
    const rounds: { readonly alone: number; readonly ours: number }[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      await database.run("TRUNCATE TABLE effects");
      // They alternate in being first, because the table grows.
      const alone = round % 2 === 0 ? await inLoop(database, maxRecords, batches) : undefined;
      const ours = await inScan(database, stream, maxRecords, batches);
      const each = { alone: alone ?? (await inLoop(database, maxRecords, batches)), ours };
      // The first round is not counted.
      if (round > 0) rounds.push(each);
    }
    const measures = {
      alone: median(rounds.map(({ alone }) => alone)),
      scanTransaction: median(rounds.map(({ ours }) => ours)),
      ratio: median(rounds.map(({ alone, ours }) => ours / alone)),
    };
    all[maxRecords] = measures;
    console.error(`batches of ${maxRecords}`, measures);
  }
  return all;
}

/**
 * From the start of the first transaction to the start of the last one, in microseconds per record.
 */
function perRecord(starts: readonly number[], maxRecords: number): number {
  const tookMs = starts.at(-1)! - starts[0]!;
  return (tookMs * 1000) / ((starts.length - 1) * maxRecords);
}

async function inLoop(
  { run, insert }: Pick<Database<never>, "run" | "insert">,
  maxRecords: number,
  batches: number,
): Promise<number> {
  const starts: number[] = [];
  for (let batch = 0; batch <= batches; batch += 1) {
    await run("BEGIN");
    starts.push(performance.now());
    for (let record = 0; record < maxRecords; record += 1) await run(insert, PAYLOAD);
    await run("COMMIT");
  }
  return perRecord(starts, maxRecords);
}

async function inScan<Tx>(
  { open, runIn, insert }: Database<Tx>,
  stream: Canned,
  maxRecords: number,
  batches: number,
): Promise<number> {
  await using store = open();
  await store.setup();
  const stop = new AbortController();
  const starts: number[] = [];
  await new Consumer({
    stream: STREAM,
    application: randomBytes(6).toString("hex"),
    store,
    client: stream.client(),
    start: "TRIM_HORIZON",
    immediateRescan: true,
  }).scanTransaction(
    async (records, { tx }) => {
      starts.push(performance.now());
      const run = runIn(tx);
      for (let record = 0; record < records.length; record += 1) await run(insert, PAYLOAD);
      if (starts.length > batches) stop.abort();
    },
    { maxRecords, signal: stop.signal },
  );
  return perRecord(starts, maxRecords);
}

async function openPostgres(connection: string) {
  const client = new Client(connection);
  await client.connect();
  await client.query("CREATE TABLE effects (id bigserial PRIMARY KEY, payload text NOT NULL)");
  const runIn =
    (tx: Pick<Client, "query">): Run =>
    (statement, value) =>
      value === undefined ? tx.query(statement) : tx.query(statement, [value]);
  return {
    run: runIn(client),
    runIn,
    insert: "INSERT INTO effects (payload) VALUES ($1)",
    open: () => new PostgresStore({ connection }),
    [Symbol.asyncDispose]: () => client.end(),
  };
}

async function openMysql(connection: string) {
  const client = await createConnection(connection);
  await client.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`);
  await client.query(`USE ${DATABASE}`);
  await client.query(
    "CREATE TABLE effects (id bigint AUTO_INCREMENT PRIMARY KEY, payload text NOT NULL)",
  );
  const runIn =
    (tx: Pick<typeof client, "query">): Run =>
    (statement, value) =>
      value === undefined ? tx.query(statement) : tx.query(statement, [value]);
  return {
    run: runIn(client),
    runIn,
    insert: `INSERT INTO ${DATABASE}.effects (payload) VALUES (?)`,
    open: () => new MysqlStore({ connection, database: DATABASE }),
    [Symbol.asyncDispose]: () => client.end(),
  };
}
