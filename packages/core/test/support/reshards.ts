import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { METRICS, type Counter, type MetricDefinition } from "../../src/index.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";

const HOURS = 24;
/** What adapters and core have settled on by then is not held against them. */
const SETTLED = 6;

export interface Reshards {
  /** Of each hour, as `read` returned it. */
  readonly readings: readonly number[];
  /** By how much the heap was larger at the end than once everything had settled, in bytes. */
  readonly heapGrowth: number;
}

/**
 * What a consumer reports in a day in which each hour a reshard replaces all shards: all metrics of each
 * shard, and of the whole. `read` is called at each hour's end, when the shards before are over.
 */
export async function reshardHourly(
  counter: Counter,
  shards: number,
  read: () => Promise<number>,
): Promise<Reshards> {
  const telemetry = new Telemetry({ counter }, { stream: "orders", application: "billing" });
  const readings: number[] = [];
  let settled = 0;
  telemetry.enter(0);
  for (let hour = 0; hour < HOURS; hour += 1) {
    const idsOf = (generation: number) =>
      Array.from({ length: shards }, (_, n) => shardId(generation * shards + n));
    for (const id of idsOf(hour)) reportShard(telemetry, id);
    if (hour > 0) for (const id of idsOf(hour - 1)) telemetry.removeShard(id);
    telemetry.record("poll_duration", 10 + hour, {});
    readings.push(await read());
    // What the adapter left to the event loop is done within an hour.
    await new Promise(setImmediate);
    if (hour === SETTLED) settled = heapUsed();
  }
  return { readings, heapGrowth: heapUsed() - settled };
}

function shardId(n: number): string {
  return `shardId-${String(n).padStart(12, "0")}`;
}

function reportShard(telemetry: Telemetry, id: string): void {
  const all: readonly (readonly [string, MetricDefinition])[] = Object.entries(METRICS);
  for (const [name, { kind, attributes, values }] of all) {
    if (!attributes.includes("shardId")) continue;
    const others = attributes.filter((attribute) => attribute !== "shardId");
    const own = Object.fromEntries(
      others.map((attribute) => [attribute, values?.[attribute]?.[0] ?? "some"]),
    );
    // The compiler knows neither names nor attributes in a loop over all metrics.
    if (kind === "counter") telemetry.add(name as "records", 1, { ...own, shardId: id });
    else telemetry.set(name as "lag", 1, { ...own, shardId: id });
  }
}

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
