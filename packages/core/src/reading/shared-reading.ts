import type { Clock } from "../clock.ts";
import type { CallLine } from "../kinesis/call-line.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { PollOptions } from "./pacing.ts";
import { FirstPages } from "./page-size.ts";
import { PollPace } from "./poll-pace.ts";
import { ReadBudget } from "./read-budget.ts";
import { SharedTimer } from "../shared-timer.ts";

/** What all shards of a scan share when they read. */
export interface SharedReading {
  readonly budget: ReadBudget;
  readonly firstPages: FirstPages;
  readonly timer: SharedTimer;
  readonly random: () => number;
  readonly pace: PollPace;
  /** How many shards this scan reads now. */
  readonly shards: () => number;
}

export interface SharedReadingOptions extends PollOptions {
  readonly maxBufferedBytes: number;
  readonly random: () => number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** @param line the calls for shards  @param shards how many are read now */
export function openSharedReading(
  options: SharedReadingOptions,
  line: CallLine,
  shards: () => number,
): SharedReading {
  const { clock, random, telemetry, maxBufferedBytes } = options;
  return {
    budget: new ReadBudget(maxBufferedBytes, clock),
    firstPages: new FirstPages(),
    timer: new SharedTimer(clock),
    random,
    shards,
    pace: new PollPace({ poll: options, line, shards, clock, telemetry }),
  };
}
