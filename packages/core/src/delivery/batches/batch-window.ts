import type { Clock } from "../../clock.ts";
import type { SharedTimer } from "../../shared-timer.ts";

/** The batching window, `maxWaitMs`: how long the first record of a batch waits for more records. */
export class BatchWindow {
  readonly #clock: Clock;
  readonly #timer: SharedTimer;
  readonly #maxWaitMs: number;
  readonly #onElapsed: () => void;
  #dueAt = 0;
  #cancel: (() => void) | undefined;

  /** @param onElapsed called when the window has elapsed */
  constructor(
    { clock, timer }: { readonly clock: Clock; readonly timer: SharedTimer },
    maxWaitMs: number,
    onElapsed: () => void,
  ) {
    this.#clock = clock;
    this.#timer = timer;
    this.#maxWaitMs = maxWaitMs;
    this.#onElapsed = onElapsed;
  }

  /** Whether a record that arrived at `since` has waited long enough. If not, `onElapsed` is called later. */
  hasElapsed(since: number): boolean {
    const dueAt = since + this.#maxWaitMs;
    const leftMs = dueAt - this.#clock.monotonic();
    if (leftMs <= 0) return true;
    // The first record may be another one than at the last call.
    if (dueAt !== this.#dueAt) this.cancel();
    this.#dueAt = dueAt;
    this.#cancel ??= this.#timer.after(leftMs, () => {
      this.#cancel = undefined;
      this.#onElapsed();
    });
    return false;
  }

  /** Ends the wait: the batch is delivered or dropped. */
  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
