import { setTimeout as sleep } from "node:timers/promises";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  type _Record as SdkRecord,
} from "@aws-sdk/client-kinesis";
import {
  Consumer,
  type Counter,
  type DeliveryOptions,
  type Handler,
  type KinesisClientLike,
  type WireOption,
} from "@kc/core";
import { FakeClock } from "@kc/emulator";
import { type Endpoint, STREAM } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import type { Contestant } from "../rounds.ts";
import { Span } from "./span.ts";

const MIB = 1024 * 1024;
/** The minimum time between two polls of a shard, by the quota. */
const POLL_INTERVAL_MS = 200;
/** The consumer's default for idle shards, if they are few. */
export const IDLE_INTERVAL_MS = 250;

/**
 * A whole consumer with a handler that does nothing, until it has handled this many records. The
 * records after the first `after` and before the last `before` ones are measured. Virtual time,
 * because a shard is polled at most five times a second.
 */
export function consumer(
  client: KinesisClientLike,
  total: number,
  {
    wire = "auto",
    awaits = false,
    counter,
    delivery = {},
    after = 0,
    before = 0,
    virtual = false,
  }: {
    wire?: WireOption;
    awaits?: boolean;
    counter?: Counter;
    delivery?: DeliveryOptions;
    after?: number;
    before?: number;
    virtual?: boolean;
  } = {},
): Contestant {
  return async (begin) => {
    const stop = new AbortController();
    const measured = new Span(total, { after, before }, begin);
    const count = (): void => {
      if (measured.count() === total) stop.abort();
    };
    const handler: Handler = awaits ? async () => count() : count;
    const options = { start: "TRIM_HORIZON", immediateRescan: true, wire } as const;
    const clock = virtual ? new FakeClock() : undefined;
    const reader = new Consumer({
      stream: STREAM,
      client,
      ...(clock === undefined ? {} : { clock }),
      maxBufferedBytes: 512 * MIB,
      ...options,
      ...(counter === undefined ? {} : { counter }),
    });
    const scan = reader.scan(handler, { ...delivery, signal: stop.signal });
    if (clock !== undefined) await passTime(clock, scan);
    await scan;
    return measured.cost();
  };
}

async function passTime(clock: FakeClock, scan: Promise<void>): Promise<void> {
  let over = false;
  const end = (): void => void (over = true);
  scan.then(end, end);
  while (!over) await clock.advance(POLL_INTERVAL_MS);
}

/**
 * A hand-written loop: all shards concurrently, one page after another. The first pages are not
 * measured. @param handle returns the number of handled records, for an aggregate that of its user
 * records
 */
export function sdkLoop(
  client: KinesisClient,
  { shards, pages }: CannedPages,
  handle: (record: SdkRecord) => number = () => 1,
): Contestant {
  return async (begin) => {
    let records = 0;
    const readShard = async (
      first: string | undefined,
      count: number,
    ): Promise<string | undefined> => {
      let ShardIterator = first;
      for (let page = 0; page < count; page += 1) {
        const reply = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 10_000 }));
        for (const record of reply.Records ?? []) records += handle(record);
        ShardIterator = reply.NextShardIterator;
      }
      return ShardIterator;
    };
    const indices = Array.from({ length: shards }, (_, index) => index);
    const iterators = await Promise.all(
      indices.map(async (index) => readShard(await firstIterator(client, index), 1)),
    );
    const notMeasured = records;
    begin();
    await Promise.all(iterators.map((iterator) => readShard(iterator, pages - 1)));
    return { records: records - notMeasured };
  };
}

/** A consumer over connections, measured without the first and the last page of each shard. */
export function connectedConsumer(
  client: KinesisClientLike,
  { total, totalOfOnePage }: Endpoint,
  options: { wire?: WireOption } = {},
): Contestant {
  return consumer(client, total, { ...options, after: totalOfOnePage, before: totalOfOnePage });
}

/**
 * A hand-written loop for idle shards: polls each once per interval. Ends when the signal aborts.
 */
export async function pollAtPace(
  client: KinesisClient,
  { shards }: CannedPages,
  intervalMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const pollShard = async (index: number): Promise<void> => {
    let ShardIterator = await firstIterator(client, index);
    for (;;) {
      const [reply] = await Promise.all([
        client.send(new GetRecordsCommand({ ShardIterator, Limit: 10_000 })),
        sleep(intervalMs, undefined, signal && { signal }),
      ]);
      ShardIterator = reply.NextShardIterator;
    }
  };
  await Promise.all(Array.from({ length: shards }, (_, index) => pollShard(index)));
}

async function firstIterator(client: KinesisClient, index: number): Promise<string | undefined> {
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: STREAM,
      ShardId: `shardId-${String(index).padStart(12, "0")}`,
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  return ShardIterator;
}

/**
 * A client that immediately returns a page that was decoded before, so that only the consumer's own
 * cost remains.
 */
export function decodedPages(
  { shards, pages, records, bytes }: CannedPages,
  keys = 100,
): KinesisClientLike {
  const Records = Array.from({ length: records }, (_, i) => ({
    Data: new Uint8Array(bytes),
    PartitionKey: `key-${i % keys}`,
    SequenceNumber: `4968052060751781245837048628545161261923065463554${i}`.padEnd(56, "0"),
    ApproximateArrivalTimestamp: new Date(),
  }));
  const answers: Readonly<Record<string, object>> = {
    DescribeStreamSummaryCommand: {
      StreamDescriptionSummary: {
        StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/bench",
      },
    },
    ListShardsCommand: {
      Shards: Array.from({ length: shards }, (_, i) => ({ ShardId: `shardId-${i}` })),
    },
    GetShardIteratorCommand: { ShardIterator: "0" },
  };
  return {
    send: async (command: { readonly input: { readonly ShardIterator?: string } }) => {
      const other = answers[command.constructor.name];
      if (other !== undefined) return other;
      const page = Number(command.input.ShardIterator);
      return page < pages
        ? { Records, NextShardIterator: String(page + 1), MillisBehindLatest: 60_000 }
        : { Records: [], NextShardIterator: String(page), MillisBehindLatest: 0 };
    },
  };
}
