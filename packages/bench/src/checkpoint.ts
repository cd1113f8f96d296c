import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer, type Counter, type Store } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { median } from "./rounds.ts";
import { startServices } from "./services.ts";
import { openers } from "./stores.ts";

const SHARDS = 4;
/** Handled in about two seconds, as by a busy consumer, with the default flush interval. */
const COALESCED = 20_000;
const EACH = 400;
const ROUNDS = 3;
const streamName = "bench";

interface Cost {
  readonly records: number;
  /** Checkpoints that the store acknowledged as written. */
  readonly writes: number;
  /** From the first handled record to the end of the last flush. */
  readonly microsPerRecord: number;
}

interface Measures {
  readonly coalesced: Cost;
  readonly oneWriteARecord: Cost;
  readonly timesAsLong: number;
}

/**
 * The cost of checkpoints on each store: coalesced by the checkpointer, or one write per record.
 */
export async function benchCheckpoint(): Promise<{ stores: Record<string, Measures> }> {
  await using services = await startServices();
  const directory = mkdtempSync(join(tmpdir(), "kc-bench-"));
  const stores: Record<string, Measures> = {};
  try {
    for (const [name, open] of Object.entries(await openers(services, directory))) {
      stores[name] = await measuresOf(open);
      console.error(name, stores[name]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { stores };
}

async function measuresOf(open: () => Store): Promise<Measures> {
  const rounds: { readonly coalesced: Cost; readonly each: Cost }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({
      coalesced: await consume(open(), COALESCED, undefined),
      each: await consume(open(), EACH, 0),
    });
  }
  const middle = (of: (round: (typeof rounds)[number]) => number): number =>
    Number(median(rounds.map(of)).toFixed(1));
  const cost = (records: number, of: (round: (typeof rounds)[number]) => Cost): Cost => ({
    records,
    writes: middle((round) => of(round).writes),
    microsPerRecord: middle((round) => of(round).microsPerRecord),
  });
  return {
    coalesced: cost(COALESCED, (round) => round.coalesced),
    oneWriteARecord: cost(EACH, (round) => round.each),
    timesAsLong: middle(({ each, coalesced }) => each.microsPerRecord / coalesced.microsPerRecord),
  };
}

async function consume(
  store: Store,
  records: number,
  flushIntervalMs: number | undefined,
): Promise<Cost> {
  await store.setup?.();
  const client = await filled(records);
  let writes = 0;
  const counter: Counter = {
    add: (name, value) => {
      if (name === "checkpoints") writes += value;
    },
    set: () => {},
    record: () => {},
    remove: () => {},
  };
  const stop = new AbortController();
  let handled = 0;
  let began = 0;
  await new Consumer({
    stream: streamName,
    application: randomBytes(6).toString("hex"),
    store,
    client,
    counter,
    start: "TRIM_HORIZON",
    immediateRescan: true,
    maxRecords: 500,
    ...(flushIntervalMs === undefined ? {} : { flushIntervalMs }),
  }).scan(
    () => {
      if (handled === 0) began = performance.now();
      handled += 1;
      if (handled === records) stop.abort();
    },
    { signal: stop.signal },
  );
  const microsPerRecord = ((performance.now() - began) * 1000) / records;
  await store[Symbol.asyncDispose]();
  return { records, writes, microsPerRecord };
}

async function filled(records: number): Promise<FakeKinesis> {
  const client = new FakeKinesis({ quotas: false });
  await client.send(new CreateStreamCommand({ StreamName: streamName, ShardCount: SHARDS }));
  for (let put = 0; put < records; put += 400) {
    const Records = Array.from({ length: Math.min(400, records - put) }, (_, i) => ({
      PartitionKey: `key-${(put + i) % 100}`,
      Data: Buffer.alloc(100, put + i),
    }));
    await client.send(new PutRecordsCommand({ StreamName: streamName, Records }));
  }
  return client;
}
