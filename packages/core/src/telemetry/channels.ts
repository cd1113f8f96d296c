import { channel, tracingChannel, type TracingChannel } from "node:diagnostics_channel";
import type { Checkpoint } from "../checkpoints/position.ts";
import { isPromiseLike, type BatchHandler, type Handler, type HandlerContext } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import type { Source } from "./source.ts";

/**
 * The channels of `node:diagnostics_channel` that report what is being done. All but the
 * last are tracing channels (`tracing:kc:poll:start` and so on), which is a plain one.
 */
export const CHANNELS = {
  poll: "kc:poll",
  handle: "kc:handle",
  handleBatch: "kc:handle-batch",
  checkpoint: "kc:checkpoint",
  lease: "kc:lease",
} as const;

/** One try of GetRecords. What came is there once it has come. */
export interface PollMessage extends Source {
  readonly shardId: string;
  records?: number;
  bytes?: number;
  millisBehindLatest?: number;
  error?: unknown;
}

/** One record in the handler. */
export interface HandleMessage extends Source {
  readonly shardId: string;
  readonly record: ConsumerRecord;
  result?: unknown;
  error?: unknown;
}

/** One batch in the handler. */
export interface HandleBatchMessage extends Source {
  readonly shardId: string;
  readonly records: readonly ConsumerRecord[];
  result?: unknown;
  error?: unknown;
}

/** One write of checkpoints to the store. */
export interface CheckpointMessage extends Source {
  readonly checkpoints: readonly { readonly shardId: string; readonly checkpoint: Checkpoint }[];
  error?: unknown;
}

/** A lease came into this worker's hand, or left it. */
export interface LeaseMessage extends Source {
  readonly shardId: string;
  readonly change: "acquired" | "released" | "lost";
  /** As in the metrics `leases_acquired` and `leases_released`. */
  readonly reason: string;
  readonly owner: string;
  readonly epoch: number;
}

export const pollChannel: TracingChannel<object, PollMessage> = tracingChannel(CHANNELS.poll);
export const checkpointChannel: TracingChannel<object, CheckpointMessage> = tracingChannel(
  CHANNELS.checkpoint,
);
export const leaseChannel = channel(CHANNELS.lease);
const handleChannel: TracingChannel<object, HandleMessage> = tracingChannel(CHANNELS.handle);
const batchChannel: TracingChannel<object, HandleBatchMessage> = tracingChannel(
  CHANNELS.handleBatch,
);

interface CallMessage {
  result?: unknown;
  error?: unknown;
}

/**
 * The handler, whose calls are published if the channel has subscribers. Requested once a page. A call is
 * published as Node publishes a promise, or a synchronous call: then `end` comes with the result.
 */
export function tracedHandler(
  handler: Handler,
  source: Source & { readonly shardId: string },
): Handler {
  if (!handleChannel.hasSubscribers) return handler;
  return traced(handler, handleChannel, (record) => ({ ...source, record }));
}

/** The same for a handler of batches. */
export function tracedBatchHandler(
  handler: BatchHandler,
  source: Source & { readonly shardId: string },
): BatchHandler {
  if (!batchChannel.hasSubscribers) return handler;
  return traced(handler, batchChannel, (records) => ({ ...source, records }));
}

function traced<Work, Message extends object>(
  handler: (work: Work, context: HandlerContext) => unknown,
  { start, end, asyncStart, asyncEnd, error }: TracingChannel<object, Message>,
  messageOf: (work: Work) => Message,
): (work: Work, context: HandlerContext) => unknown {
  return (work, context) => {
    const message: Message & CallMessage = messageOf(work);
    const fail = (thrown: unknown): void => {
      message.error = thrown;
      error.publish(message);
    };
    const settle = (): void => {
      asyncStart.publish(message);
      asyncEnd.publish(message);
    };
    return start.runStores(message, () => {
      try {
        const answer = handler(work, context);
        if (!isPromiseLike(answer)) return (message.result = answer);
        // It is not known what a `then` of its own resolves with, but the record must wait for it.
        return Promise.resolve(answer).then(
          (result) => {
            message.result = result;
            settle();
            return result;
          },
          (thrown: unknown) => {
            fail(thrown);
            settle();
            throw thrown;
          },
        );
      } catch (thrown) {
        fail(thrown);
        throw thrown;
      } finally {
        end.publish(message);
      }
    });
  };
}
