import { formatPosition, type Position } from "../checkpoints/position.ts";
import { KcError } from "../errors.ts";
import type { HandlerContext } from "../handler.ts";
import { typeOfError, withoutMessage } from "../without-message.ts";
import type { DeliveredShard } from "./delivery.ts";
import { RecordSignal, type RecordSignals } from "./record-signal.ts";

/** The user's handler, of records or of batches. */
export type HandlerOf<Work> = (work: Work, context: HandlerContext) => unknown;

/**
 * One call of the user's handler at a time, with the context that belongs to it; a delivery that makes
 * several calls at once has as many of these. Nothing is taken from what the handler has seen: it may
 * write into its record and its context.
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
   * The handler's answer, as it is: a promise, or something else. @throws what the handler throws
   * @param attempt 1 = the first
   */
  begin<Work>(handler: HandlerOf<Work>, work: Work, attempt: number): unknown {
    this.#signal.begin();
    this.#attempt = attempt;
    return handler(work, this.#context);
  }

  /**
   * The handler threw, or rejected. True = its lease had ended: the work is delivered again, and has not
   * failed. @throws the reason of `stop`, if the handler followed it
   */
  hasExpired(at: Position, error: unknown): boolean {
    const { shardId, stop, telemetry } = this.#shard;
    if (stop.aborted && error === stop.reason) throw error;
    if (this.#signal.expired) {
      telemetry.warn("a handler ended with its lease: its record comes again", {
        shardId,
        ...at,
        error: withoutMessage(error),
      });
      return true;
    }
    telemetry.add("handler_errors", 1, { shardId });
    return false;
  }

  /** The handler has taken too long: its signal aborts. */
  abort(reason: unknown): void {
    this.#signal.abort(reason);
  }

  /** Nothing is in hand. */
  end(): void {
    this.#signal.end();
  }

  /**
   * What the handler sees beside its record. Signal and attempt are own properties, so that a copy of the
   * context has them; the fence is a copy, since the store compares the original.
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

/** The handler's own message stays in the cause alone: it may quote the record. */
export function handlerFailed(shardId: string, at: Position, error: unknown): KcError {
  return new KcError(
    "HANDLER_FAILED",
    `${shardId}: the handler failed at ${formatPosition(at)}: ${typeOfError(error)}`,
    { shardId, cause: error },
  );
}
