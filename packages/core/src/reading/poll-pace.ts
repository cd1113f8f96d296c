import type { Clock } from "../clock.ts";
import type { CallSemaphore } from "../kinesis/call-semaphore.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { idlePaceMs, type PollOptions } from "./pacing.ts";

/** The fraction of the calls that idle shards may use. The rest is for shards with records. */
const PART_FOR_IDLE = 0.8;
/** A delay of this many milliseconds is reported … */
const LATE_MS = 1000;
/** … once it has lasted this long. It may be shorter during a start. */
const LASTING_MS = 30_000;

export interface PollPaceOptions {
  readonly poll: PollOptions;
  /** Limits the calls for shards. */
  readonly semaphore: CallSemaphore;
  /** The number of shards that are being read. */
  readonly shards: () => number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How often all shards together can be polled, within the limit of calls in flight. */
export class PollPace {
  readonly #options: PollPaceOptions;
  #lateSince: number | undefined;
  #reported = false;

  constructor(options: PollPaceOptions) {
    this.#options = options;
  }

  /** How many polls of idle shards are possible per second. */
  get idlePollsPerSecond(): number {
    return PART_FOR_IDLE * this.#options.semaphore.permitsPerSecond;
  }

  /** How much later than its configured interval a shard is polled, in milliseconds. */
  get delayMs(): number {
    const { poll, semaphore, shards } = this.#options;
    const count = shards();
    const wantedMs = idlePaceMs(poll, count, Infinity);
    return idlePaceMs(poll, count, this.idlePollsPerSecond) - wantedMs + semaphore.waitMs;
  }

  /** Warns, once, if there are too many shards for the calls, or the calls are too slow. */
  check(): void {
    if (this.#reported) return;
    const { shards, semaphore, clock, telemetry } = this.#options;
    const { delayMs } = this;
    const now = clock.monotonic();
    if (delayMs < LATE_MS) this.#lateSince = undefined;
    else this.#lateSince ??= now;
    if (this.#lateSince === undefined || now - this.#lateSince < LASTING_MS) return;
    this.#reported = true;
    telemetry.warn(
      "shards are polled later than their intervals say: there are too many for 40 calls at a time. " +
        "Distribute them over more processes, or run closer to the service",
      {
        shards: shards(),
        delayMs: Math.round(delayMs),
        callsPerSecond: Math.round(semaphore.permitsPerSecond),
      },
    );
  }
}
