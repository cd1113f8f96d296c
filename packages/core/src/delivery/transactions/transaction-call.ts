import { isPromiseLike, type BatchContext } from "../../handler.ts";
import type { DeliveredShard } from "../delivery.ts";
import { HandlerTimeoutError } from "../handler-calls.ts";

/**
 * One run of a batch in a transaction: the signal that the handler and the transaction share, and the wait
 * for the handler. `handlerTimeoutMs` limits the handler only: the store's time does not count.
 */
export class TransactionCall {
  readonly #shard: DeliveredShard;
  readonly #caller: AbortSignal;
  readonly #timeoutMs: number | undefined;
  readonly #controller = new AbortController();
  readonly #onAbort = (): void => this.#controller.abort(this.#caller.reason);
  #timeout: HandlerTimeoutError | undefined;
  #cancelTimer: () => void = () => {};
  /** Resolves when the handler has returned or was abandoned. */
  #returned: Promise<void> = Promise.resolve();
  /** The handler's context without its transaction. */
  readonly context: BatchContext;

  constructor(shard: DeliveredShard, context: BatchContext, timeoutMs: number | undefined) {
    this.#shard = shard;
    this.#caller = context.signal;
    this.#timeoutMs = timeoutMs;
    // A copy, since the same context object is passed to the next call.
    this.context = { ...context, signal: this.#controller.signal };
    if (this.#caller.aborted) this.#onAbort();
    this.#caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Set once the handler has timed out: the error of its attempt. */
  get timeout(): HandlerTimeoutError | undefined {
    return this.#timeout;
  }

  /** Waits for the handler, which was called and has returned this. */
  watch(answer: unknown): void {
    if (!isPromiseLike(answer)) return;
    this.#returned = new Promise((resolve) => {
      const onReturn = (): void => {
        this.#cancelTimer();
        resolve();
      };
      Promise.resolve(answer).then(onReturn, onReturn);
      const { timer } = this.#shard;
      if (this.#timeoutMs === undefined) return;
      const timeoutMs = this.#timeoutMs;
      this.#cancelTimer = timer.after(timeoutMs, () => this.#expire(timeoutMs, resolve));
    });
  }

  /** The transaction has ended. Resolves when the handler has returned too. */
  async end(): Promise<void> {
    await this.#returned;
    this.#caller.removeEventListener("abort", this.#onAbort);
  }

  #expire(timeoutMs: number, abandon: () => void): void {
    const { shardId, timer, drainTimeoutMs, telemetry } = this.#shard;
    this.#timeout = new HandlerTimeoutError(timeoutMs);
    this.#controller.abort(this.#timeout);
    this.#cancelTimer = timer.after(drainTimeoutMs, () => {
      telemetry.warn("a handler did not return after its timeout: it is not waited for any more", {
        shardId,
        drainTimeoutMs,
      });
      abandon();
    });
  }
}
