import type { Clock } from "../clock.ts";
import type { ShardStatus } from "./status.ts";
import type { Telemetry } from "./telemetry.ts";

/** How often figures that change by themselves are told, in milliseconds. */
const INTERVAL_MS = 1000;

/**
 * Tells the counter how far each shard is behind, whether anything of it is read or not: the lag of
 * a handler that is stuck must grow, not stand still at what the last page said.
 */
export class Reporter {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #shards: () => readonly ShardStatus[];
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, telemetry: Telemetry, shards: () => readonly ShardStatus[]) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#shards = shards;
    if (telemetry.counts) this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
  }

  #schedule(): void {
    this.#cancel = this.#clock.setTimer(() => {
      this.#schedule();
      for (const { shardId, lagMs } of this.#shards()) {
        this.#telemetry.set("lag", Math.round(lagMs), { shardId });
      }
    }, INTERVAL_MS);
  }
}
