import { randomBytes } from "node:crypto";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { PostgresStore } from "@kc/store-postgres";
import { Client, type ClientBase } from "pg";
import { median } from "./rounds.ts";
import { startServices } from "./services.ts";

/** Records a batch, and how many batches are measured. */
const SIZES = [
  { maxRecords: 1, batches: 100 },
  { maxRecords: 50, batches: 20 },
  { maxRecords: 500, batches: 6 },
] as const;
const ROUNDS = 3;
const streamName = "bench";
const PAYLOAD = Buffer.alloc(100, 7).toString("hex");

interface Measures {
  /** Wall time of a record, in microseconds. */
  readonly alone: number;
  readonly scanTransaction: number;
  /** Median over the rounds, each of which runs both. */
  readonly ratio: number;
}

/**
 * One INSERT a record, in transactions of so many: by `scanTransaction`, with its checkpoint, and by a loop
 * on the same kind of connection without a consumer, without a checkpoint and without records.
 */
export async function benchTransactions(): Promise<{ postgres: Record<string, Measures> }> {
  await using services = await startServices();
  const client = new Client(services.postgres);
  await client.connect();
  const postgres: Record<string, Measures> = {};
  try {
    await client.query("CREATE TABLE effects (id bigserial PRIMARY KEY, payload text NOT NULL)");
    for (const { maxRecords, batches } of SIZES) {
      const rounds: { readonly alone: number; readonly ours: number }[] = [];
      for (let round = 0; round <= ROUNDS; round += 1) {
        await client.query("TRUNCATE effects");
        const alone = await inLoop(client, maxRecords, batches);
        const ours = await inScan(services.postgres, maxRecords, batches);
        // The first one is not counted.
        if (round > 0) rounds.push({ alone, ours });
      }
      const measures = {
        alone: median(rounds.map(({ alone }) => alone)),
        scanTransaction: median(rounds.map(({ ours }) => ours)),
        ratio: median(rounds.map(({ alone, ours }) => ours / alone)),
      };
      postgres[maxRecords] = measures;
      console.error(`batches of ${maxRecords}`, measures);
    }
  } finally {
    await client.end();
  }
  return { postgres };
}

async function insert(client: ClientBase, records: number): Promise<void> {
  for (let record = 0; record < records; record += 1) {
    await client.query("INSERT INTO effects (payload) VALUES ($1)", [PAYLOAD]);
  }
}

/** From the beginning of the first transaction to the one of the last, in microseconds a record. */
function perRecord(starts: readonly number[], maxRecords: number): number {
  const tookMs = starts.at(-1)! - starts[0]!;
  return (tookMs * 1000) / ((starts.length - 1) * maxRecords);
}

async function inLoop(client: Client, maxRecords: number, batches: number): Promise<number> {
  const starts: number[] = [];
  for (let batch = 0; batch <= batches; batch += 1) {
    await client.query("BEGIN");
    starts.push(performance.now());
    await insert(client, maxRecords);
    await client.query("COMMIT");
  }
  return perRecord(starts, maxRecords);
}

async function inScan(connection: string, maxRecords: number, batches: number): Promise<number> {
  await using store = new PostgresStore({ connection });
  await store.setup();
  const stop = new AbortController();
  const starts: number[] = [];
  await new Consumer({
    stream: streamName,
    application: randomBytes(6).toString("hex"),
    store,
    client: await filled((batches + 1) * maxRecords),
    start: "TRIM_HORIZON",
    immediateRescan: true,
  }).scanTransaction(
    async (records, { tx }) => {
      starts.push(performance.now());
      await insert(tx, records.length);
      if (starts.length > batches) stop.abort();
    },
    { maxRecords, signal: stop.signal },
  );
  return perRecord(starts, maxRecords);
}

async function filled(records: number): Promise<FakeKinesis> {
  const client = new FakeKinesis({ quotas: false });
  await client.send(new CreateStreamCommand({ StreamName: streamName, ShardCount: 1 }));
  for (let put = 0; put < records; put += 500) {
    const Records = Array.from({ length: Math.min(500, records - put) }, () => ({
      PartitionKey: "key",
      Data: Buffer.alloc(100, 7),
    }));
    await client.send(new PutRecordsCommand({ StreamName: streamName, Records }));
  }
  return client;
}
