import type { Clock } from "../clock.ts";
import type { CallSemaphore } from "../kinesis/call-semaphore.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { PollOptions } from "./pacing.ts";
import { FirstPages } from "./page-size.ts";
import { PollPace } from "./poll-pace.ts";
import { ReadBudget } from "./read-budget.ts";
import { SharedTimer } from "../shared-timer.ts";

/** The state that the readers of all shards of a scan share. */
export interface SharedReading {
  readonly budget: ReadBudget;
  readonly firstPages: FirstPages;
  readonly timer: SharedTimer;
  readonly random: () => number;
  readonly pace: PollPace;
  /** The number of shards that this scan is reading. */
  readonly shards: () => number;
}

export interface SharedReadingOptions extends PollOptions {
  readonly maxBufferedBytes: number;
  readonly random: () => number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** @param semaphore limits the calls for shards  @param shards the number of shards that are being read */
export function openSharedReading(
  options: SharedReadingOptions,
  semaphore: CallSemaphore,
  shards: () => number,
): SharedReading {
  const { clock, random, telemetry, maxBufferedBytes } = options;
  return {
    budget: new ReadBudget(maxBufferedBytes, clock),
    firstPages: new FirstPages(),
    timer: new SharedTimer(clock),
    random,
    shards,
    pace: new PollPace({ poll: options, semaphore, shards, clock, telemetry }),
  };
}
