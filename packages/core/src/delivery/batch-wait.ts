import type { Clock } from "../clock.ts";
import type { SharedTimer } from "../shared-timer.ts";

/** `maxWaitMs`: how long the first record of a batch waits for more. */
export class BatchWait {
  readonly #clock: Clock;
  readonly #timer: SharedTimer;
  readonly #maxWaitMs: number;
  readonly #onOver: () => void;
  /** When the first record came, by the monotonic clock; undefined = it was not asked yet. */
  #since: number | undefined;
  #cancel: (() => void) | undefined;

  /** @param onOver called when the wait is over that was asked for */
  constructor(
    { clock, timer }: { readonly clock: Clock; readonly timer: SharedTimer },
    maxWaitMs: number,
    onOver: () => void,
  ) {
    this.#clock = clock;
    this.#timer = timer;
    this.#maxWaitMs = maxWaitMs;
    this.#onOver = onOver;
  }

  /** Has the first record waited long enough? It waits from the first time that this is asked. */
  isOver(): boolean {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    const leftMs = this.#since + this.#maxWaitMs - now;
    if (leftMs <= 0) return true;
    this.#cancel ??= this.#timer.after(leftMs, () => {
      this.#cancel = undefined;
      this.#onOver();
    });
    return false;
  }

  /** The batch is delivered, or dropped. */
  end(): void {
    this.#since = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
