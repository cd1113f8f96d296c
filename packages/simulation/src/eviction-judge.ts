import { KcError, type LeaseGroupStatus, type WorkerRow } from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { Process } from "./process.ts";
import { Violation } from "./violation.ts";

/** From the store's answer until the handlers' signals have aborted, in milliseconds. */
const ABORT_MS = 100;
/**
 * From the store's answer until the worker tries to join again: it waits for a heartbeat interval,
 * by its own clock.
 */
const REJOIN_MS = 1000;

export interface EvictionJudgeOptions {
  readonly workerId: string;
  readonly clock: FakeClock;
  readonly process: Process;
  /** Whether its scan is running and was not stopped. */
  readonly isScanning: () => boolean;
  /** The signals of its running handlers. */
  readonly signals: () => Iterable<AbortSignal>;
  readonly onViolation: (error: Error) => void;
}

/**
 * Checks what a worker does after the store has reported that its row is gone: it must abort its
 * handlers with a lost lease immediately, whatever the state of their shards, and join again.
 */
export class EvictionJudge {
  readonly #options: EvictionJudgeOptions;
  #evicted: string | undefined;
  #joins = 0;

  constructor(options: EvictionJudgeOptions) {
    this.#options = options;
  }

  /** Called when the worker tries to join. */
  joining(): void {
    this.#joins += 1;
  }

  /** Called when the worker learns that the row of its incarnation is gone. */
  evicted(incarnation: string): void {
    if (this.#evicted === incarnation) return;
    this.#evicted = incarnation;
    const { workerId, isScanning, signals, onViolation } = this.#options;
    const joins = this.#joins;
    const open = [...signals()].filter(({ aborted }) => !aborted);
    this.#afterRunning(ABORT_MS, () => {
      for (const { aborted, reason } of open) {
        if (aborted && KcError.is(reason) && reason.code === "LEASE_LOST") continue;
        const what = aborted ? String(reason) : "nothing";
        onViolation(new Violation(`${workerId} is evicted, and a handler gets ${what}`));
      }
    });
    this.#afterRunning(REJOIN_MS, () => {
      if (this.#joins > joins || !isScanning()) return;
      onViolation(new Violation(`${workerId} is evicted, and does not join again`));
    });
  }

  /** Runs the check once the process has run for this time without a pause. */
  #afterRunning(ms: number, judge: () => void): void {
    const { clock, process } = this.#options;
    const began = clock.monotonic();
    const check = (): void => {
      if (process.state === "dead") return;
      const leftMs = Math.max(began, process.runningSince) + ms - clock.monotonic();
      if (leftMs <= 0) judge();
      else clock.setTimer(check, Math.min(leftMs, ms));
    };
    clock.setTimer(check, ms);
  }
}

/** The caller's incarnation, if this answer reports that its row is gone. */
export function evictedBy(
  operation: string,
  answer: unknown,
  { incarnation, state }: Pick<LeaseGroupStatus, "incarnation" | "state">,
): string | undefined {
  if (state !== "member" || incarnation === undefined) return undefined;
  const { outcome, workers } = (answer ?? {}) as {
    readonly outcome?: string;
    readonly workers?: readonly WorkerRow[];
  };
  const isGone =
    operation === "heartbeat"
      ? outcome === "evicted"
      : operation === "listWorkers" && !workers!.some((row) => row.incarnation === incarnation);
  return isGone ? incarnation : undefined;
}
