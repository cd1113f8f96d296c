import { isPromiseLike, type BatchContext } from "../../handler.ts";
import type { DeliveredShard } from "../delivery.ts";
import { HandlerTimeoutError } from "../handler-calls.ts";

/**
 * One run of a batch in a transaction: the signal that handler and transaction share, and when the handler
 * has returned. `handlerTimeoutMs` is the handler's time alone: what the store takes is not its fault.
 */
export class TransactionCall {
  readonly #shard: DeliveredShard;
  readonly #caller: AbortSignal;
  readonly #timeoutMs: number | undefined;
  readonly #over = new AbortController();
  readonly #onAbort = (): void => this.#over.abort(this.#caller.reason);
  #timeout: HandlerTimeoutError | undefined;
  #cancelTimer: () => void = () => {};
  /** Settles when the handler has returned, or is not waited for any more. */
  #returned: Promise<void> = Promise.resolve();
  /** What the handler sees beside its records, but for its transaction. */
  readonly context: BatchContext;

  constructor(shard: DeliveredShard, context: BatchContext, timeoutMs: number | undefined) {
    this.#shard = shard;
    this.#caller = context.signal;
    this.#timeoutMs = timeoutMs;
    // A copy: the context is the next call's, too.
    this.context = { ...context, signal: this.#over.signal };
    if (this.#caller.aborted) this.#onAbort();
    this.#caller.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Set once the handler has taken too long: its attempt has failed with it. */
  get timeout(): HandlerTimeoutError | undefined {
    return this.#timeout;
  }

  /** The handler was called, and has answered this. */
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

  /** The transaction is over. Resolves when the handler is, too. */
  async end(): Promise<void> {
    await this.#returned;
    this.#caller.removeEventListener("abort", this.#onAbort);
  }

  #expire(timeoutMs: number, giveUp: () => void): void {
    const { shardId, timer, drainTimeoutMs, telemetry } = this.#shard;
    this.#timeout = new HandlerTimeoutError(timeoutMs);
    this.#over.abort(this.#timeout);
    this.#cancelTimer = timer.after(drainTimeoutMs, () => {
      telemetry.warn("a handler did not return after its timeout: it is not waited for any more", {
        shardId,
        drainTimeoutMs,
      });
      giveUp();
    });
  }
}
