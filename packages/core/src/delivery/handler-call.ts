import { formatPosition, type Position } from "../checkpoints/position.ts";
import { KcError } from "../errors.ts";
import type { HandlerContext } from "../handler.ts";
import { typeOfError, withoutMessage } from "../without-message.ts";
import type { DeliveredShard } from "./delivery.ts";
import { RecordSignal, type RecordSignals } from "./record-signal.ts";

/** The user's handler, for records or for batches. */
export type HandlerOf<Work> = (work: Work, context: HandlerContext) => unknown;

/**
 * Makes one call of the user's handler at a time, with the context that belongs to it. A delivery that
 * makes several calls concurrently has one of these for each. Nothing is read back from the record or the
 * context, since the handler may have written into them.
 */
export class HandlerCall {
  readonly #shard: DeliveredShard;
  readonly #signal: RecordSignal;
  readonly #context: HandlerContext;
  #attempt = 1;

  constructor(shard: DeliveredShard, signals: RecordSignals) {
    this.#shard = shard;
    this.#signal = new RecordSignal(signals);
    this.#context = this.#newContext();
  }

  /**
   * Returns what the handler returns, a promise or a plain value. @throws what the handler throws
   * @param attempt 1 for the first
   */
  begin<Work>(handler: HandlerOf<Work>, work: Work, attempt: number): unknown {
    this.#signal.begin();
    this.#attempt = attempt;
    return handler(work, this.#context);
  }

  /**
   * The handler threw or rejected. Returns true if its lease had ended: then the work has not failed and
   * is delivered again. @throws the reason of `stop`, if the handler threw that
   */
  hasExpired(at: Position, error: unknown): boolean {
    const { shardId, stop, telemetry } = this.#shard;
    if (stop.aborted && error === stop.reason) throw error;
    if (this.#signal.expired) {
      telemetry.warn("a handler ended because its lease ended: its record is delivered again", {
        shardId,
        ...at,
        error: withoutMessage(error),
      });
      return true;
    }
    telemetry.add("handler_errors", 1, { shardId });
    return false;
  }

  /** Aborts the handler's signal: it has taken too long. */
  abort(reason: unknown): void {
    this.#signal.abort(reason);
  }

  /** The call has ended and no other follows for now. */
  end(): void {
    this.#signal.end();
  }

  /**
   * The context that the handler gets beside its record. `signal` and `attempt` are own properties, so that
   * a copy of the context has them. The fence is a copy, since the store compares the original.
   */
  #newContext(): HandlerContext {
    const { shardId, fence } = this.#shard;
    const signal = (): AbortSignal => this.#signal.signal;
    const attempt = (): number => this.#attempt;
    return {
      shardId,
      get signal() {
        return signal();
      },
      get attempt() {
        return attempt();
      },
      ...(fence === undefined ? {} : { fence: { ...fence } }),
    };
  }
}

/** The handler's own message appears only in the cause, since it may quote the record. */
export function handlerFailed(shardId: string, at: Position, error: unknown): KcError {
  return new KcError(
    "HANDLER_FAILED",
    `${shardId}: the handler failed at ${formatPosition(at)}: ${typeOfError(error)}`,
    { shardId, cause: error },
  );
}
