import type { Clock } from "../clock.ts";
import { EventLoopDelay } from "./event-loop-delay.ts";
import { METRICS, type MetricDefinition } from "./metrics.ts";
import { foldValues } from "./shard-series.ts";
import { SHARD_STATES, type ConsumerStatus, type ShardStatus } from "./status.ts";
import type { Telemetry } from "./telemetry.ts";
import type { FailingCall } from "./failing-calls.ts";

/** How often gauges are reported, in milliseconds. */
const INTERVAL_MS = 1000;
/** How long the counters of a shard that is no longer read are kept, so that they are collected, in milliseconds. */
const KEEP_COUNTERS_MS = 5 * 60_000;

/** The gauges of each shard. */
const SHARD_GAUGES = {
  lag: ({ lagMs }: ShardStatus) => Math.round(lagMs),
  retention_headroom: ({ retentionHeadroomMs }: ShardStatus) =>
    retentionHeadroomMs === undefined ? undefined : Math.round(retentionHeadroomMs),
  unread_age: ({ unreadForMs }: ShardStatus) => Math.round(unreadForMs),
  checkpoint_age: ({ unflushedForMs }: ShardStatus) => Math.round(unflushedForMs),
  records_in_flight: ({ recordsInFlight }: ShardStatus) => recordsInFlight,
  keys_held_up: ({ keysHeldUp }: ShardStatus) => keysHeldUp,
  ahead_bytes: ({ acknowledged }: ShardStatus) =>
    acknowledged?.kind === "position" ? (acknowledged.ahead?.length ?? 0) : 0,
};
/** A pause by the user is reported as a separate state, because it is no problem. */
const REPORTED_STATES = [...SHARD_STATES, "paused-by-user"] as const;
const SHARD_COUNTERS = knownCounters(true);
const OWN_COUNTERS = knownCounters(false);
const SHARD_GAUGE_NAMES = Object.keys(SHARD_GAUGES) as (keyof typeof SHARD_GAUGES)[];

export type Reported = Pick<
  ConsumerStatus,
  "shards" | "failingCalls" | "bufferedBytes" | "pollDelayMs"
>;

/**
 * Reports gauges to the counter every second, even if nothing is read: the lag of a stuck handler must grow, not stay
 * at the value of the last page. Removes the series of shards that are no longer read.
 */
export class Reporter {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #status: () => Reported;
  /** When reading of a shard ended here, by shard and the monotonic clock. */
  readonly #endedAt = new Map<string, number>();
  /** Operations whose outage was last reported. */
  #outages: readonly string[] = [];
  #eventLoop: EventLoopDelay | undefined;
  #cancel: (() => void) | undefined;
  #reportedDropped: number;

  constructor(clock: Clock, telemetry: Telemetry, status: () => Reported) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#status = status;
    this.#reportedDropped = telemetry.dropped;
  }

  start(): void {
    if (!this.#telemetry.counts) return;
    this.#telemetry.enter(this.#clock.monotonic());
    for (const { name, own } of OWN_COUNTERS) this.#telemetry.begin(name, own);
    this.#eventLoop = new EventLoopDelay();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#eventLoop?.stop();
    for (const state of REPORTED_STATES) this.#telemetry.remove("shards", { state });
    this.#telemetry.remove("buffer_bytes", {});
    this.#reportOutages([]);
    this.#telemetry.remove("poll_delay", {});
    if (!this.#telemetry.perShard)
      for (const name of SHARD_GAUGE_NAMES) this.#telemetry.remove(name, {});
    this.#telemetry.leave(this.#clock.monotonic());
  }

  /** Initialises the counters of a shard to 0, so that they are visible before they count. */
  begun(shardId: string): void {
    if (!this.#telemetry.counts) return;
    this.#endedAt.delete(shardId);
    for (const { name, own } of SHARD_COUNTERS) this.#telemetry.begin(name, { ...own, shardId });
  }

  /** Removes the gauges of a shard now, and its counters when their last values have been collected. */
  ended(shardId: string): void {
    if (!this.#reportsShards) return;
    for (const name of SHARD_GAUGE_NAMES) this.#telemetry.remove(name, { shardId });
    this.returned(shardId);
  }

  /** All handlers of a shard have returned: an abandoned one may have counted long after the shard ended. */
  returned(shardId: string): void {
    if (this.#reportsShards) this.#endedAt.set(shardId, this.#clock.monotonic());
  }

  /** True if shards have their own series, which are removed when they end. */
  get #reportsShards(): boolean {
    return this.#telemetry.counts && this.#telemetry.perShard;
  }

  #schedule(): void {
    this.#cancel = this.#clock.setTimer(() => {
      this.#schedule();
      this.#report(this.#status());
    }, INTERVAL_MS);
  }

  #report({ shards, failingCalls, bufferedBytes, pollDelayMs }: Reported): void {
    const telemetry = this.#telemetry;
    for (const state of REPORTED_STATES) {
      const inState = shards.filter((shard) => reportedState(shard) === state);
      telemetry.set("shards", inState.length, { state });
    }
    telemetry.set("buffer_bytes", bufferedBytes, {});
    telemetry.set("poll_delay", Math.round(pollDelayMs), {});
    // Gauges of an abandoned shard would hide those of the worker that reads it now.
    const read = shards.filter(({ state }) => state !== "abandoned");
    for (const name of SHARD_GAUGE_NAMES) this.#reportShards(name, read);
    this.#reportOutages(failingCalls);
    telemetry.record("event_loop_delay", this.#eventLoop!.takeLongest(), {});
    this.#reportDropped();
    this.#forget();
  }

  #reportShards(name: keyof typeof SHARD_GAUGES, shards: readonly ShardStatus[]): void {
    const valueOf = SHARD_GAUGES[name];
    if (this.#telemetry.perShard) {
      for (const shard of shards) {
        const value = valueOf(shard);
        if (value !== undefined) this.#telemetry.set(name, value, { shardId: shard.shardId });
      }
      return;
    }
    const values = shards.map(valueOf).filter((value) => value !== undefined);
    // A minimum needs a value; the other gauges are 0 without shards.
    if (values.length === 0 && name === "retention_headroom") this.#telemetry.remove(name, {});
    else this.#telemetry.set(name, foldValues(name, values), {});
  }

  #reportOutages(failingCalls: readonly FailingCall[]): void {
    for (const { operation, forMs } of failingCalls) {
      this.#telemetry.set("outage_age", forMs, { operation });
    }
    const operations = failingCalls.map(({ operation }) => operation);
    for (const operation of this.#outages) {
      if (!operations.includes(operation)) this.#telemetry.remove("outage_age", { operation });
    }
    this.#outages = operations;
  }

  #reportDropped(): void {
    const dropped = this.#telemetry.dropped;
    this.#telemetry.add("dropped_metrics", dropped - this.#reportedDropped, {});
    this.#reportedDropped = dropped;
  }

  #forget(): void {
    const now = this.#clock.monotonic();
    for (const [shardId, since] of this.#endedAt) {
      if (now - since < KEEP_COUNTERS_MS) continue;
      this.#endedAt.delete(shardId);
      this.#telemetry.removeShard(shardId);
    }
    this.#telemetry.removeLeft(now - KEEP_COUNTERS_MS);
  }
}

function reportedState({ state, pausedBy }: ShardStatus): (typeof REPORTED_STATES)[number] {
  return state === "paused" && pausedBy === "user" ? "paused-by-user" : state;
}

interface KnownCounter {
  readonly name: "checkpoints";
  readonly own: { readonly outcome: string };
}

/** Counters whose attribute values are known in advance: one entry for each combination of values. */
function knownCounters(ofShards: boolean): readonly KnownCounter[] {
  const all: readonly (readonly [string, MetricDefinition])[] = Object.entries(METRICS);
  return all
    .filter(
      ([, { kind, attributes }]) =>
        kind === "counter" && attributes.includes("shardId") === ofShards,
    )
    .flatMap(([name, { attributes, values = {} }]) => {
      const others = attributes.filter((attribute) => attribute !== "shardId");
      const each = others.reduce<object[]>(
        (sofar, attribute) =>
          sofar.flatMap((own) =>
            (values[attribute] ?? []).map((value) => ({ ...own, [attribute]: value })),
          ),
        [{}],
      );
      // In a loop over all metrics, the compiler knows neither names nor attributes.
      return each.map((own) => ({ name, own }) as KnownCounter);
    });
}
