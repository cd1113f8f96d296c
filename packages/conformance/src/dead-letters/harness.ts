import type { DeadLetter, DeadLetterQueue } from "@kc/core";
import type { Scenario } from "../scenario.ts";

/**
 * Creates handles on one separate queue or table of an adapter, and reads the stored letters.
 * Disposing closes the queues, removes the letters, and works while the connection is broken.
 */
export interface DeadLetterHarness extends AsyncDisposable {
  /** Opens another handle on the same queue, as another process would. */
  open(): Promise<DeadLetterQueue>;

  /** Every stored letter, in any order, as readers get it, with repeats. */
  letters(): Promise<readonly DeadLetter[]>;

  /**
   * The maximum bytes of data in a letter; a larger letter is a pointer. @default 10 MiB, the
   * largest record of Kinesis
   */
  readonly maxDataBytes?: number;

  /** True if the queue does not deduplicate letters, so that readers must do so by the id. */
  readonly keepsRepeats?: boolean;

  /** Makes the queue unreachable for every handle, until `restore`. If absent, list the gaps. */
  breakConnection?(): Promise<void>;
  /** Resolves when the queue can be reached again. */
  restore?(): Promise<void>;
}

export type DeadLetterScenario = Scenario<DeadLetterHarness>;
