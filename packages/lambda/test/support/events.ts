import type { Logger } from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { KinesisEvent, KinesisEventRecord, LambdaContext } from "../../src/index.ts";

export const STREAM_ARN = "arn:aws:kinesis:eu-west-1:111122223333:stream/orders";
export const SHARD = "shardId-000000000006";
/** 2026-01-01T00:00:00Z, where a FakeClock begins, in seconds. */
const NEW_YEAR = 1_767_225_600;

export interface Put {
  readonly key?: string;
  readonly data?: string | Uint8Array;
  readonly shardId?: string;
  readonly streamARN?: string;
  /** In seconds. */
  readonly arrivedAt?: number;
}

/** The sequence number of the n-th record of a shard. */
export function numberOf(index: number): string {
  return (
    49590338271490256608559692538361571095921575989136588898n +
    BigInt(index) * 7n
  ).toString();
}

/** An event as a mapping sends it: all its members, in the order of the records. */
export function eventOf(puts: readonly Put[], first = 0): KinesisEvent {
  return { Records: puts.map((put, index) => recordOf(put, numberOf(first + index))) };
}

function recordOf(put: Put, sequenceNumber: string): KinesisEventRecord {
  const { key = "ada", data = "{}", shardId = SHARD, streamARN = STREAM_ARN } = put;
  const { arrivedAt = NEW_YEAR } = put;
  const record = {
    kinesis: {
      kinesisSchemaVersion: "1.0",
      partitionKey: key,
      sequenceNumber,
      data: Buffer.from(data).toString("base64"),
      approximateArrivalTimestamp: arrivedAt,
    },
    eventSource: "aws:kinesis",
    eventVersion: "1.0",
    eventID: `${shardId}:${sequenceNumber}`,
    eventName: "aws:kinesis:record",
    invokeIdentityArn: "arn:aws:iam::111122223333:role/orders-function",
    awsRegion: "eu-west-1",
    eventSourceARN: streamARN,
  };
  return record;
}

/** Texts as records of one key. */
export function texts(...data: readonly string[]): readonly Put[] {
  return data.map((each) => ({ data: each }));
}

/** What names the records at these places. */
export function failuresAt(...places: readonly number[]): {
  batchItemFailures: { itemIdentifier: string }[];
} {
  return { batchItemFailures: places.map((place) => ({ itemIdentifier: numberOf(place) })) };
}

/** The context of an invocation that begins now and may take so long. */
export function contextOf(clock: FakeClock, timeoutMs: number): LambdaContext {
  const endsAt = clock.monotonic() + timeoutMs;
  return { getRemainingTimeInMillis: () => endsAt - clock.monotonic() };
}

/** Keeps the lines of a log. */
export function lines(): { readonly lines: string[]; readonly logger: Logger } {
  const kept: string[] = [];
  const to =
    (level: string) =>
    (message: string): void =>
      void kept.push(`${level} ${message}`);
  const logger = { debug: to("debug"), info: to("info"), warn: to("warn"), error: to("error") };
  return { lines: kept, logger };
}
