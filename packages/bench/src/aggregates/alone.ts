import { aggregate } from "@kc/aggregator";
import { compare, type Contestant } from "../rounds.ts";
import { awsKinesisAgg } from "./aws-kinesis-agg.ts";
import { AGGREGATED, AGGREGATES, KEYS, userRecords } from "./user-records.ts";

const ROUNDS = 11;
/** Pages that are taken apart in a round. */
const PAGES = { ours: 12, theirs: 3 };
const SHARD_ID = "shardId-000000000000";
/** All keys but one, so that it is looked whose each user record is. */
const RANGE = { startingHashKey: "0", endingHashKey: `${2n ** 128n - 2n}` };

/** The consumer's own parts, which are not exported. */
interface Parts {
  readonly Distribution: new (clock: object) => {
    described(description: { readonly RecordDistributionStrategy: string }): void;
  };
  readonly ShardAggregates: new (options: object) => object;
  readonly DecodedRecords: new (records: readonly object[]) => object;
  readonly PageCursor: new (...given: readonly unknown[]) => {
    current(): object | undefined;
    advance(): void;
  };
}

/** A page of aggregates, which lie one behind the other in its memory, and the same in base64. */
interface PackedPage {
  readonly records: readonly object[];
  readonly base64: readonly string[];
}

/**
 * Taking aggregates apart, from their bytes in memory to user records that are handed on, beside another
 * library. Both check the MD5. That library gets its base64 ready-made, as Lambda has it, and its user
 * records' data stay base64; ours has the bytes, a date, and looks whether each user record is its shard's.
 */
export async function compareAlone(): Promise<object> {
  const takesApart = await ours();
  const results: Record<string, object> = {};
  for (const [name, keys] of Object.entries(KEYS)) {
    console.error(name);
    const page = packed(keys);
    const { cpuMicrosPerRecord, ratioToFirst, rounds } = await compare(
      {
        awsKinesisAgg: round(PAGES.theirs, () => theirs(page)),
        ours: round(PAGES.ours, () => takesApart(page)),
      },
      ROUNDS,
    );
    results[name] = { cpuMicrosPerRecord, timesLessThanAwsKinesisAgg: ratioToFirst.ours, rounds };
  }
  return results;
}

function round(pages: number, takeApart: () => number): Contestant {
  return async (begin) => {
    begin();
    let records = 0;
    for (let page = 0; page < pages; page += 1) records += takeApart();
    if (records !== pages * AGGREGATES * AGGREGATED) throw new Error(`${records} user records`);
    return { records };
  };
}

function packed(keys: number): PackedPage {
  const all = Array.from({ length: AGGREGATES }, (_, i) => {
    const [only] = aggregate(userRecords(AGGREGATED, keys, i * AGGREGATED), { maxBytes: 2 ** 20 });
    return only!.entry.Data!;
  });
  const memory = Buffer.concat(all);
  let at = memory.byteOffset;
  const records = all.map(({ byteLength }, i) => {
    const Data = new Uint8Array(memory.buffer, at, byteLength);
    at += byteLength;
    const SequenceNumber = `496805206075178124583704862854516126192306${1e13 + i}`;
    return { Data, SequenceNumber, PartitionKey: "a", ApproximateArrivalTimestamp: new Date() };
  });
  return { records, base64: all.map((data) => Buffer.from(data).toString("base64")) };
}

async function ours(): Promise<(page: PackedPage) => number> {
  const { Distribution, ShardAggregates, DecodedRecords, PageCursor } = await parts();
  const distribution = new Distribution({ monotonic: () => performance.now() });
  distribution.described({ RecordDistributionStrategy: "USER_PARTITION_KEY" });
  const aggregates = new ShardAggregates({
    shardId: SHARD_ID,
    hashKeyRange: () => RANGE,
    deaggregate: true,
    distribution,
    telemetry: { add: () => {}, warn: () => {} },
  });
  return ({ records: page }) => {
    let records = 0;
    const cursor = new PageCursor(new DecodedRecords(page), SHARD_ID, 0, aggregates);
    for (; cursor.current() !== undefined; cursor.advance()) records += 1;
    return records;
  };
}

async function parts(): Promise<Parts> {
  const files = [
    "kinesis/distribution",
    "kinesis/aggregates/shard-aggregates",
    "kinesis/page-records",
    "reading/record-cursor",
  ];
  const modules = await Promise.all(
    files.map((file) => import(new URL(`../../../core/dist/${file}.js`, import.meta.url).href)),
  );
  return Object.assign({}, ...modules) as Parts;
}

function theirs({ base64 }: PackedPage): number {
  let records = 0;
  for (const data of base64) records += awsKinesisAgg(data);
  return records;
}
