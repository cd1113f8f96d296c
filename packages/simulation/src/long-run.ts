import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { Consumer, LeaseGroup, MemoryStore, MemoryStoreData, type Counter } from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import { SCOPE, STREAM } from "./worker.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const HOUR_MS = 3_600_000;
const RECORDS_AN_HOUR = 20;

/** The resources of a worker, which must not grow after the first two days. */
export interface Footprint {
  readonly bufferedBytes: number;
  readonly timers: number;
  /** The number of series that were reported to the counter and not removed. */
  readonly series: number;
  readonly rows: number;
  /** Measured after a garbage collection. */
  readonly heapBytes: number;
}

export interface LongRun {
  readonly handled: number;
  readonly put: number;
  /** At the end of each day. */
  readonly days: readonly Footprint[];
  /** After the stop. */
  readonly left: Pick<Footprint, "timers" | "series">;
}

/** A counter that only counts its series. */
class Series implements Counter {
  readonly perShard = true;
  readonly names = new Set<string>();

  add(name: string, _value: number, attributes: Readonly<Record<string, string>>): void {
    this.names.add(JSON.stringify([name, attributes]));
  }

  set(name: string, value: number, attributes: Readonly<Record<string, string>>): void {
    this.add(name, value, attributes);
  }

  record(name: string, value: number, attributes: Readonly<Record<string, string>>): void {
    this.add(name, value, attributes);
  }

  remove(name: string, attributes: Readonly<Record<string, string>>): void {
    this.names.delete(JSON.stringify([name, attributes]));
  }
}

/** One worker for many virtual days, with a reshard every hour: a split, then the merge of its halves. */
export async function longRun(days: number): Promise<LongRun> {
  const clock = new FakeClock();
  const kinesis = new FakeKinesis({ clock, streams: { [STREAM]: 4 } });
  const data = new MemoryStoreData();
  const counter = new Series();
  const stop = new AbortController();
  const consumer = new Consumer({
    stream: STREAM,
    application: SCOPE.application,
    store: new MemoryStore({ data }),
    group: new LeaseGroup({ workerId: "w0", leaseMs: 600_000 }),
    client: kinesis,
    clock,
    counter,
    random: () => 0.5,
    start: "TRIM_HORIZON",
    scanIntervalMs: 60_000,
    flushIntervalMs: 60_000,
    maxUnflushedMs: HOUR_MS,
    discoveryIntervalMs: 300_000,
  });
  let handled = 0;
  const scan = consumer.scan(() => void (handled += 1), { signal: stop.signal });
  const footprint = (): Footprint => ({
    bufferedBytes: consumer.status().bufferedBytes,
    timers: clock.pendingTimers,
    series: counter.names.size,
    rows: data.application(SCOPE).shards.size,
    heapBytes: collected(),
  });
  const footprints: Footprint[] = [];
  for (let hour = 0; hour < 24 * days; hour += 1) {
    for (let n = 0; n < RECORDS_AN_HOUR; n += 1) await put(kinesis, `k${n}`);
    await reshard(kinesis, hour);
    await clock.advance(HOUR_MS);
    if (hour % 24 === 23) footprints.push(footprint());
  }
  stop.abort();
  await clock.advance(HOUR_MS);
  await scan;
  const left = { timers: clock.pendingTimers, series: counter.names.size };
  return { handled, put: RECORDS_AN_HOUR * 24 * days, days: footprints, left };
}

async function put(kinesis: FakeKinesis, key: string): Promise<void> {
  await kinesis.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: key, Data: Buffer.from(key) }),
  );
}

async function reshard(kinesis: FakeKinesis, hour: number): Promise<void> {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
  const open = Shards.filter((one) => !one.SequenceNumberRange?.EndingSequenceNumber).map(
    ({ ShardId, HashKeyRange }) => ({
      id: ShardId!,
      start: BigInt(HashKeyRange!.StartingHashKey!),
      end: BigInt(HashKeyRange!.EndingHashKey!),
    }),
  );
  const [first, second] = open.toSorted((a, b) => (a.start < b.start ? -1 : 1));
  const NewStartingHashKey = String((first!.start + first!.end) / 2n + 1n);
  await (hour % 2 === 0
    ? kinesis.send(
        new SplitShardCommand({ StreamName: STREAM, ShardToSplit: first!.id, NewStartingHashKey }),
      )
    : kinesis.send(
        new MergeShardsCommand({
          StreamName: STREAM,
          ShardToMerge: first!.id,
          AdjacentShardToMerge: second!.id,
        }),
      ));
}

function collected(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
