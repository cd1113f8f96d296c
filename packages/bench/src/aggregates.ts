import { aggregate, type UserRecord } from "@kc/aggregator";
import { Consumer, type KinesisClientLike } from "@kc/core";
import aws from "aws-kinesis-agg";
import { Canned, STREAM } from "./read/canned.ts";
import { consumer } from "./read/contestants.ts";
import { compare, type Comparison, type Contestant } from "./rounds.ts";

const ROUNDS = 5;
const SHARDS = 16;
/** User records of a page, and of each aggregate in it. */
const USER_RECORDS = 10_000;
const AGGREGATED = 100;
const BYTES = 100;
const MIB = 1024 * 1024;

/** How many different keys the user records of a page have. Producers repeat theirs. */
const KEYS = { aKeyEach: USER_RECORDS, hundredKeys: 100, tenKeys: 10, oneKey: 1 };

/** What a user record of an aggregate costs, beside the same records not aggregated, and beside others. */
export async function benchAggregates(): Promise<object> {
  const page = { shards: SHARDS, pages: 2, bytes: BYTES };
  await using plain = await Canned.start({ ...page, records: USER_RECORDS });
  const total = SHARDS * page.pages * USER_RECORDS;
  const reading: Record<string, Comparison> = {};
  for (const [name, keys] of Object.entries(KEYS)) {
    await using packed = await Canned.start({
      ...page,
      records: USER_RECORDS / AGGREGATED,
      aggregated: AGGREGATED,
      keys,
    });
    console.error("consumer", name);
    reading[name] = await compare(
      {
        aggregated: consumer(packed.client(), total),
        notAggregated: consumer(plain.client(), total),
        takenApartByAwsKinesisAgg: byAwsKinesisAgg(packed.client(), total),
      },
      ROUNDS,
    );
  }
  console.error("producer");
  const packing = await compare({ aggregator: packs(ours), awsKinesisAgg: packs(theirs) }, ROUNDS);
  return { reading, packing };
}

/** A consumer that leaves aggregates alone, whose handler takes them apart with the other library. */
function byAwsKinesisAgg(client: KinesisClientLike, total: number): Contestant {
  return async (begin) => {
    const stop = new AbortController();
    let records = 0;
    begin();
    const reader = new Consumer({
      stream: STREAM,
      client,
      maxBufferedBytes: 512 * MIB,
      start: "TRIM_HORIZON",
      immediateRescan: true,
      deaggregate: false,
    });
    await reader.scan(
      ({ data, partitionKey, sequenceNumber }) => {
        const { buffer, byteOffset, byteLength } = data;
        const text = Buffer.from(buffer, byteOffset, byteLength).toString("base64");
        const record = {
          kinesisSchemaVersion: "1.0",
          data: text,
          partitionKey: partitionKey!,
          sequenceNumber,
          approximateArrivalTimestamp: 0,
        };
        aws.deaggregateSync(record, true, (_error, inside = []) => {
          records += inside.length;
        });
        if (records === total) stop.abort();
      },
      { signal: stop.signal },
    );
    return { records };
  };
}

const RECORDS: readonly UserRecord[] = Array.from({ length: USER_RECORDS }, (_, i) => ({
  partitionKey: `key-${i % 100}`,
  data: Buffer.alloc(BYTES, i),
}));

/** Packs the same records, some times. */
function packs(pack: (records: readonly UserRecord[]) => void): Contestant {
  return async (begin) => {
    begin();
    for (let i = 0; i < 10; i += 1) pack(RECORDS);
    return { records: 10 * RECORDS.length };
  };
}

function ours(records: readonly UserRecord[]): void {
  aggregate(records, { maxBytes: MIB });
}

function theirs(records: readonly UserRecord[]): void {
  aws.aggregate(
    records.map(({ partitionKey, data }) => ({ partitionKey, data })),
    (_record, done) => done(),
    () => {},
    (error) => {
      throw error;
    },
  );
}
