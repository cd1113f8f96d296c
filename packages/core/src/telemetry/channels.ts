import { channel, tracingChannel, type TracingChannel } from "node:diagnostics_channel";
import type { Checkpoint } from "../checkpoints/position.ts";
import { isPromiseLike, type BatchHandler, type Handler, type HandlerContext } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import type { Source } from "./source.ts";

/**
 * The names of the `node:diagnostics_channel` channels. `lease` is a plain channel, the others are tracing channels
 * (`tracing:kc:poll:start` and so on).
 */
export const CHANNELS = {
  poll: "kc:poll",
  handle: "kc:handle",
  handleBatch: "kc:handle-batch",
  checkpoint: "kc:checkpoint",
  lease: "kc:lease",
} as const;

/** One attempt of GetRecords. The optional members are set when the call has ended. */
export interface PollMessage extends Source {
  readonly shardId: string;
  records?: number;
  bytes?: number;
  millisBehindLatest?: number;
  error?: unknown;
}

/** One handler call for a record. */
export interface HandleMessage extends Source {
  readonly shardId: string;
  readonly record: ConsumerRecord;
  result?: unknown;
  error?: unknown;
}

/** One handler call for a batch. */
export interface HandleBatchMessage extends Source {
  readonly shardId: string;
  readonly records: readonly ConsumerRecord[];
  result?: unknown;
  error?: unknown;
}

/** One checkpoint write to the store, of one or more shards. */
export interface CheckpointMessage extends Source {
  readonly checkpoints: readonly { readonly shardId: string; readonly checkpoint: Checkpoint }[];
  error?: unknown;
}

/** This worker acquired, released or lost a lease. */
export interface LeaseMessage extends Source {
  readonly shardId: string;
  readonly change: "acquired" | "released" | "lost";
  /** As in the metrics `leases_acquired` and `leases_released`; "lost" for a lost lease. */
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
 * Wraps a handler so that its calls are published, if the channel has subscribers. Called once per page. Calls are
 * published as by Node's `tracePromise`, or, if they are synchronous, by `traceSync`.
 */
export function tracedHandler(
  handler: Handler,
  source: Source & { readonly shardId: string },
): Handler {
  if (!handleChannel.hasSubscribers) return handler;
  return traced(handler, handleChannel, (record) => ({ ...source, record }));
}

/** As `tracedHandler`, for a batch handler. */
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
        // A foreign thenable's `then` may return anything, but the record must wait for it.
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
