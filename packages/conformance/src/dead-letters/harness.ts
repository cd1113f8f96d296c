import type { DeadLetter, DeadLetterQueue } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/**
 * Makes queues on one place of an adapter's, a queue or a table that is its own, and reads back what lies
 * there. Disposing closes the queues, removes the letters, and works while the connection is broken.
 */
export interface DeadLetterHarness extends AsyncDisposable {
  /** One more handle on the same place, as another process would open it. */
  open(): Promise<DeadLetterQueue>;

  /** Every letter that is held now, in any order, as its readers get it: repeats included. */
  letters(): Promise<readonly DeadLetter[]>;

  /**
   * The most bytes of data that a letter can have; above it comes a pointer. Absent = the place holds
   * the largest record of Kinesis, 10 MiB.
   */
  readonly maxDataBytes?: number;

  /** True where the place cannot know a letter again that it holds: its readers do, by the id. */
  readonly keepsRepeats?: boolean;

  /** From now on no handle reaches the place, until `restore`. Absent = list the gaps. */
  breakConnection?(): Promise<void>;
  /** Resolves when the place can be reached again. */
  restore?(): Promise<void>;
}

export type DeadLetterScenario = Scenario<DeadLetterHarness>;
