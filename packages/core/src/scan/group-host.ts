import type { Checkpoint } from "../checkpoints/position.ts";
import type { StoreCalls } from "../checkpoints/store-calls.ts";
import type { Store, StoreScope } from "../checkpoints/store.ts";
import type { Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";
import type { Blockage, GroupHost, ShardAssignment, ShardOutcome } from "../groups/group.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { ResolvedOptions } from "../options/resolve-options.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { ShardRuns } from "./shard-runs.ts";

export interface ScanHostOptions {
  readonly options: ResolvedOptions;
  readonly stream: StreamClient;
  readonly calls: StoreCalls;
  readonly runs: ShardRuns;
  readonly over: AbortSignal;
  readonly fail: (error: unknown) => void;
  readonly read: (assignment: ShardAssignment) => Promise<ShardOutcome>;
}

/** What a scan gives its group to work with. */
export class ScanHost implements GroupHost {
  readonly scope: StoreScope;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly discoveryIntervalMs: number;
  readonly drainTimeoutMs: number;
  readonly over: AbortSignal;
  readonly fail: (error: unknown) => void;
  readonly read: (assignment: ShardAssignment) => Promise<ShardOutcome>;
  readonly #stream: StreamClient;
  readonly #calls: StoreCalls;
  readonly #runs: ShardRuns;

  constructor({ options, stream, calls, runs, over, fail, read }: ScanHostOptions) {
    this.scope = options.scope;
    this.store = options.store;
    this.clock = options.clock;
    this.random = options.random;
    this.telemetry = options.telemetry;
    this.discoveryIntervalMs = options.discoveryIntervalMs;
    this.drainTimeoutMs = options.drainTimeoutMs;
    this.over = over;
    this.fail = fail;
    this.read = read;
    this.#stream = stream;
    this.#calls = calls;
    this.#runs = runs;
  }

  blockage(): Blockage {
    return this.#runs.blockage(this.clock.monotonic());
  }

  async untilAble(signal: AbortSignal): Promise<void> {
    await this.#stream.listShards(signal);
    await Promise.race([this.#runs.untilIdle(), aborted(signal)]);
    signal.throwIfAborted();
  }

  listShards(signal: AbortSignal): Promise<readonly Shard[]> {
    return this.#stream.listShards(signal);
  }

  loadCheckpoints(signal: AbortSignal): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#calls.retry("getCheckpoints", signal, (call) =>
      this.store.getCheckpoints(this.scope, call),
    );
  }
}
