import type { Clock } from "../clock.ts";
import type { CallLine } from "../kinesis/call-line.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { idlePaceMs, type PollOptions } from "./pacing.ts";

/** The part of the calls that idle shards may use: the rest is for those that have records. */
const PART_FOR_IDLE = 0.8;
/** A delay of so many milliseconds is reported … */
const LATE_MS = 1000;
/** … once it has lasted for so long: a start takes its time. */
const LASTING_MS = 30_000;

export interface PollPaceOptions {
  readonly poll: PollOptions;
  readonly line: CallLine;
  /** How many shards are read now. */
  readonly shards: () => number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How often all shards together can be polled, with the calls that there are. */
export class PollPace {
  readonly #options: PollPaceOptions;
  #lateSince: number | undefined;
  #reported = false;

  constructor(options: PollPaceOptions) {
    this.#options = options;
  }

  /** How many polls of idle shards a second has room for. */
  get idlePollsPerSecond(): number {
    return PART_FOR_IDLE * this.#options.line.turnsPerSecond;
  }

  /** How much later than their intervals say shards are polled, in milliseconds. */
  get delayMs(): number {
    const { poll, line, shards } = this.#options;
    const count = shards();
    const asked = idlePaceMs(poll, count, Infinity);
    return idlePaceMs(poll, count, this.idlePollsPerSecond) - asked + line.waitMs;
  }

  /** Says once that the shards are too many for the calls, or the calls too slow. */
  check(): void {
    if (this.#reported) return;
    const { shards, line, clock, telemetry } = this.#options;
    const { delayMs } = this;
    const now = clock.monotonic();
    if (delayMs < LATE_MS) this.#lateSince = undefined;
    else this.#lateSince ??= now;
    if (this.#lateSince === undefined || now - this.#lateSince < LASTING_MS) return;
    this.#reported = true;
    telemetry.warn(
      "shards are polled later than their intervals say: they are too many for 40 calls at a time. " +
        "Share them among more processes, or be nearer to the service",
      {
        shards: shards(),
        delayMs: Math.round(delayMs),
        callsPerSecond: Math.round(line.turnsPerSecond),
      },
    );
  }
}
