import { CALL_TIMEOUT_MS } from "../../checkpoints/store-calls.ts";
import { unlessAborted } from "../../deadline.ts";
import { StoreError } from "../../errors.ts";
import type { SharedTimer } from "../../shared-timer.ts";

/**
 * The timeout of the store's part of a transaction. It runs from `resume` to `pause`, so the handler's time
 * does not count. The wait also ends when the caller's signal aborts.
 */
export class StoreTimeout {
  readonly #timer: SharedTimer;
  readonly #caller: AbortSignal;
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => this.#controller.abort(this.#caller.reason);
  #hasEnded = false;
  #cancel: () => void = () => {};

  constructor(timer: SharedTimer, caller: AbortSignal) {
    this.#timer = timer;
    this.#caller = caller;
    if (caller.aborted) this.#onAbort();
    caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Returns what `call` returns. @throws the signal's reason; a retryable StoreError after the timeout */
  async wait<Answer>(call: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const { signal } = this.#controller;
    try {
      return await unlessAborted(signal, call(signal));
    } finally {
      this.#hasEnded = true;
      this.#cancel();
      this.#caller.removeEventListener("abort", this.#onAbort);
    }
  }

  /** The handler is running. */
  pause(): void {
    this.#cancel();
  }

  /** The store is working: starts the timeout. */
  resume(): void {
    this.#cancel();
    if (this.#hasEnded) return;
    this.#cancel = this.#timer.after(CALL_TIMEOUT_MS, () => {
      const message = `the transaction was not answered within ${CALL_TIMEOUT_MS} ms`;
      this.#controller.abort(new StoreError("STORE_UNAVAILABLE", message, { retryable: true }));
    });
  }
}
