import { createHash } from "node:crypto";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordsCommand,
  type GetRecordsCommandOutput,
  type GetShardIteratorCommandOutput,
} from "@aws-sdk/client-kinesis";
import { Consumer, type KinesisClientLike } from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";

const STREAM = "bench";
const LATENCIES = [5, 50, 150];
const SHARDS = [100, 400, 1000, 5000];
/** The maximum number of concurrent calls of a consumer. */
const CALLS_AT_ONCE = 40;
/** The warm-up until idle shards are polled at their pace, in seconds, and the measured time. */
const WARM_UP_SECONDS = 20;
const MEASURED_SECONDS = 20;
/** The interval between records of a shard, in seconds. */
const RECORD_EVERY_SECONDS = 10;
const HUNG = { shards: 400, latencyMs: 50 };
const MAX_RECORDS_A_PUT = 500;

interface Delays {
  readonly records: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A stream of many shards with slow calls, and its consumer. Time is virtual. */
class ManyShards {
  readonly clock = new FakeClock();
  readonly kinesis: FakeKinesis;
  readonly consumer: Consumer;
  /** Shards that were polled. */
  readonly polled = new Set<string>();
  /** Calls for these shards are never answered. */
  readonly hung = new Set<string>();
  readonly #shards: number;
  readonly #stop = new AbortController();
  readonly #keys: readonly string[];
  readonly #shardOf = new Map<string, string>();
  #delays: { shard: number; ms: number }[] = [];
  #scan: Promise<void> = Promise.resolve();

  constructor(shards: number, latencyMs: number) {
    this.#shards = shards;
    this.kinesis = new FakeKinesis({
      clock: this.clock,
      streams: { [STREAM]: shards },
      quotas: { writes: false },
      latency: ({ operation }) => (operation.startsWith("Put") ? 0 : latencyMs),
    });
    this.#keys = keysOf(shards);
    this.consumer = new Consumer({
      stream: STREAM,
      client: this.#client(),
      clock: this.clock,
      start: "TRIM_HORIZON",
    });
  }

  start(): void {
    this.#scan = this.consumer.scan(
      (record) => {
        const ms = this.clock.now() - Number(record.text());
        this.#delays.push({ shard: indexOf(record.shardId), ms });
      },
      { signal: this.#stop.signal },
    );
  }

  /** Puts records for `seconds`, and returns the delays of records of the shards from `from` on. */
  async produce(seconds: number, from = 0): Promise<Delays> {
    this.#delays = [];
    const steps = seconds * 10;
    for (let step = 0; step < steps; step += 1) {
      const every = RECORD_EVERY_SECONDS * 10;
      const keys = this.#keys.filter((_, shard) => shard % every === step % every);
      const Data = Buffer.from(String(this.clock.now()));
      for (let at = 0; at < keys.length; at += MAX_RECORDS_A_PUT) {
        const Records = keys
          .slice(at, at + MAX_RECORDS_A_PUT)
          .map((PartitionKey) => ({ PartitionKey, Data }));
        await this.kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records }));
      }
      await this.clock.advance(100);
    }
    const ms = this.#delays.filter(({ shard }) => shard >= from).map((delay) => delay.ms);
    ms.sort((a, b) => a - b);
    const at = (part: number): number => Math.round(ms[Math.floor(part * (ms.length - 1))] ?? NaN);
    return { records: ms.length, p50Ms: at(0.5), p99Ms: at(0.99) };
  }

  async stop(): Promise<void> {
    this.hung.clear();
    this.#stop.abort();
    for (let over = false; !over;) {
      void this.#scan.finally(() => (over = true));
      await this.clock.advance(1000);
    }
    await this.#scan;
  }

  #client(): KinesisClientLike {
    return {
      send: async (command: object, options?: { abortSignal?: AbortSignal }): Promise<unknown> => {
        const output: unknown = await this.kinesis.send(command as GetRecordsCommand, options);
        if (command instanceof GetShardIteratorCommand) {
          const { ShardIterator } = output as GetShardIteratorCommandOutput;
          this.#shardOf.set(ShardIterator!, command.input.ShardId!);
        }
        if (command instanceof GetRecordsCommand) {
          const { ShardIterator } = command.input;
          const shard = this.#shardOf.get(ShardIterator!)!;
          this.#shardOf.delete(ShardIterator!);
          const { NextShardIterator } = output as GetRecordsCommandOutput;
          this.#shardOf.set(NextShardIterator!, shard);
          this.polled.add(shard);
          if (this.hung.has(shard)) return new Promise((_, reject) => onAbort(options, reject));
        }
        return output;
      },
    };
  }

  get shards(): number {
    return this.#shards;
  }
}

/**
 * The delay of records with many shards in virtual time. It depends on the consumer and the calls'
 * latency only, so it is the same on every machine.
 */
export async function benchShards(): Promise<object> {
  const start: Record<string, object> = {};
  const steady: Record<string, object> = {};
  for (const latencyMs of LATENCIES) {
    for (const shards of SHARDS) {
      const name = `${shards} shards, ${latencyMs} ms a call`;
      const many = new ManyShards(shards, latencyMs);
      start[name] = {
        allPolledOnceMs: await untilPolled(many),
        // One iterator and one page for each shard.
        twoCallsAShardMs: (2 * shards * latencyMs) / CALLS_AT_ONCE,
      };
      await many.produce(WARM_UP_SECONDS);
      const delays = await many.produce(MEASURED_SECONDS);
      steady[name] = { ...delays, pollDelayMs: Math.round(many.consumer.status().pollDelayMs) };
      console.error(name, start[name], steady[name]);
      await many.stop();
    }
  }
  return { time: "virtual", start, steady, hung: await hungBesideHealthy() };
}

async function untilPolled(many: ManyShards): Promise<number> {
  const began = many.clock.monotonic();
  many.start();
  while (many.polled.size < many.shards) await many.clock.advance(5);
  return Math.round(many.clock.monotonic() - began);
}

/** Measures the healthy shards while the other half hangs. */
async function hungBesideHealthy(): Promise<object> {
  const { shards, latencyMs } = HUNG;
  const many = new ManyShards(shards, latencyMs);
  const half = shards / 2;
  await untilPolled(many);
  await many.produce(WARM_UP_SECONDS, half);
  const before = await many.produce(MEASURED_SECONDS, half);
  for (const shardId of many.polled) if (indexOf(shardId) < half) many.hung.add(shardId);
  const beginning = await many.produce(RECORD_EVERY_SECONDS, half);
  const after = await many.produce(MEASURED_SECONDS, half);
  await many.stop();
  return { shards, hung: half, latencyMs, healthy: { before, firstSeconds: beginning, after } };
}

function onAbort(
  options: { abortSignal?: AbortSignal } | undefined,
  reject: (error: Error) => void,
): void {
  const signal = options?.abortSignal;
  const error = Object.assign(new Error("Request aborted"), { name: "AbortError" });
  if (signal?.aborted) return reject(error);
  signal?.addEventListener("abort", () => reject(error), { once: true });
}

function indexOf(shardId: string): number {
  return Number(shardId.slice("shardId-".length));
}

/** A partition key for each of this many equal shards. */
function keysOf(shards: number): readonly string[] {
  const keys: string[] = [];
  for (let i = 0, missing = shards; missing > 0; i += 1) {
    const hash = BigInt(`0x${createHash("md5").update(`${i}`).digest("hex")}`);
    const shard = Number((hash * BigInt(shards)) >> 128n);
    if (keys[shard] !== undefined) continue;
    keys[shard] = `${i}`;
    missing -= 1;
  }
  return keys;
}
