import { CALL_TIMEOUT_MS } from "../../checkpoints/store-calls.ts";
import { unlessAborted } from "../../deadline.ts";
import { StoreError } from "../../errors.ts";
import type { SharedTimer } from "../../shared-timer.ts";

/**
 * How long the store may take for its part of a transaction, from `resume` on: the handler takes its own
 * time. It ends with the caller's signal too.
 */
export class StoreLimit {
  readonly #timer: SharedTimer;
  readonly #caller: AbortSignal;
  readonly #over = new AbortController();
  readonly #onAbort = (): void => this.#over.abort(this.#caller.reason);
  #isOver = false;
  #cancel: () => void = () => {};

  constructor(timer: SharedTimer, caller: AbortSignal) {
    this.#timer = timer;
    this.#caller = caller;
    if (caller.aborted) this.#onAbort();
    caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** What `call` answers. @throws the signal's reason; StoreError, retryable, if the store takes too long */
  async wait<Answer>(call: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const { signal } = this.#over;
    try {
      return await unlessAborted(signal, call(signal));
    } finally {
      this.#isOver = true;
      this.#cancel();
      this.#caller.removeEventListener("abort", this.#onAbort);
    }
  }

  /** The handler is at it. */
  pause(): void {
    this.#cancel();
  }

  /** The store is. */
  resume(): void {
    this.#cancel();
    if (this.#isOver) return;
    this.#cancel = this.#timer.after(CALL_TIMEOUT_MS, () => {
      const message = `the transaction was not answered within ${CALL_TIMEOUT_MS} ms`;
      this.#over.abort(new StoreError("STORE_UNAVAILABLE", message, { retryable: true }));
    });
  }
}
