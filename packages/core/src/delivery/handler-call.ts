import { KcError } from "../errors.ts";
import type { Handler, HandlerContext } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import { tracedHandler } from "../telemetry/channels.ts";
import { typeOfError, withoutMessage } from "../without-message.ts";
import type { DeliveredShard } from "./delivery.ts";
import { RecordSignal } from "./record-signal.ts";

/**
 * The call of the user's handler: one record at a time, with the context that belongs to it. Nothing
 * is taken from what the handler has seen: it may write into its record and its context.
 */
export class HandlerCall {
  readonly #shard: DeliveredShard;
  readonly #handler: Handler;
  readonly #signal: RecordSignal;
  readonly #context: HandlerContext;
  #traced: Handler;

  constructor(handler: Handler, shard: DeliveredShard) {
    this.#handler = this.#traced = handler;
    this.#shard = shard;
    this.#signal = new RecordSignal(shard);
    this.#context = contextOf(shard, this.#signal);
  }

  /** A page begins: whether the handler is traced is asked once for all its records. */
  open(): void {
    const { shardId, telemetry } = this.#shard;
    this.#traced = tracedHandler(this.#handler, { ...telemetry.source, shardId });
  }

  /** The handler's answer, as it is: a promise, or something else. @throws what the handler throws */
  begin(record: ConsumerRecord): unknown {
    this.#signal.begin();
    return this.#traced(record, this.#context);
  }

  /**
   * The handler threw, or rejected. Returns if its lease had ended: the record is delivered again.
   * @throws the reason of `stop`, if the handler followed it; KcError HANDLER_FAILED
   */
  failed(sequenceNumber: string, error: unknown): void {
    const { shardId, stop, telemetry } = this.#shard;
    if (stop.aborted && error === stop.reason) throw error;
    if (this.#signal.expired) {
      telemetry.warn("a handler ended with its lease: its record comes again", {
        shardId,
        sequenceNumber,
        error: withoutMessage(error),
      });
      return;
    }
    telemetry.add("handler_errors", 1, { shardId });
    throw handlerFailed(shardId, sequenceNumber, error);
  }

  /** No record is in hand. */
  close(): void {
    this.#signal.close();
  }
}

/**
 * What the handler sees beside its record. The signal is an own property, so that a copy of the context
 * has it; the fence is a copy, since the store compares the original.
 */
function contextOf({ shardId, fence }: DeliveredShard, own: RecordSignal): HandlerContext {
  return {
    shardId,
    get signal() {
      return own.signal;
    },
    ...(fence === undefined ? {} : { fence: { ...fence } }),
  };
}

/** The handler's own message stays in the cause alone: it may quote the record. */
function handlerFailed(shardId: string, sequenceNumber: string, error: unknown): KcError {
  return new KcError(
    "HANDLER_FAILED",
    `${shardId}: the handler failed at ${sequenceNumber}: ${typeOfError(error)}`,
    { shardId, cause: error },
  );
}
