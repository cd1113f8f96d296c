import type { Clock } from "../../clock.ts";
import type { SharedTimer } from "../../shared-timer.ts";

/** `maxWaitMs`: how long the first record of a batch waits for more. */
export class BatchWait {
  readonly #clock: Clock;
  readonly #timer: SharedTimer;
  readonly #maxWaitMs: number;
  readonly #onOver: () => void;
  #dueAt = 0;
  #cancel: (() => void) | undefined;

  /** @param onOver called when it is time to ask again */
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

  /** Has a record waited long enough that came then, by the monotonic clock? Else `onOver` is called. */
  isOver(since: number): boolean {
    const dueAt = since + this.#maxWaitMs;
    const leftMs = dueAt - this.#clock.monotonic();
    if (leftMs <= 0) return true;
    // Another record may have become the first one.
    if (dueAt !== this.#dueAt) this.end();
    this.#dueAt = dueAt;
    this.#cancel ??= this.#timer.after(leftMs, () => {
      this.#cancel = undefined;
      this.#onOver();
    });
    return false;
  }

  /** The batch is delivered, or dropped. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
