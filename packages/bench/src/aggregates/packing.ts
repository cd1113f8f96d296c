import { aggregate, type UserRecord } from "@kc/aggregator";
import aws from "aws-kinesis-agg";
import { compare, type Comparison, type Contestant } from "../rounds.ts";
import { userRecords } from "./user-records.ts";

const ROUNDS = 5;
const TIMES = 10;
const MIB = 1024 * 1024;
const RECORDS = userRecords(10_000, 100);

/** Compares packing with another library. */
export function comparePacking(): Promise<Comparison> {
  return compare({ aggregator: packs(ours), awsKinesisAgg: packs(theirs) }, ROUNDS);
}

/** Packs the same records several times. */
function packs(pack: (records: readonly UserRecord[]) => void): Contestant {
  return async (begin) => {
    begin();
    for (let i = 0; i < TIMES; i += 1) pack(RECORDS);
    return { records: TIMES * RECORDS.length };
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
