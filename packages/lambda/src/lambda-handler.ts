import type { BatchHandler, Handler } from "@kc/core";
import {
  batches,
  checkFunction,
  deliveryOf,
  PushedDelivery,
  resolveBatches,
  resolveDelivery,
  type PushedDeliveryOptions,
} from "@kc/core/adapter";
import {
  shardsOf,
  type EventShard,
  type LambdaAnswer,
  type LambdaHandler,
} from "./lambda-event.ts";
import {
  splitBatchOptions,
  splitOptions,
  type LambdaBatchOptions,
  type LambdaOptions,
  type ResolvedLambdaOptions,
} from "./lambda-options.ts";
import { InvocationDeadline } from "./invocation-deadline.ts";

/** Opens the delivery of a stream's records, with the options of one function. */
type OpenStream = (options: PushedDeliveryOptions) => PushedDelivery;

/**
 * Returns a function for the event source mapping of a Kinesis stream. It delivers an event's records to the handler as
 * `scan` does, with the same options, and responds with the first record of each shard that is not done. The mapping
 * needs `ReportBatchItemFailures`; without it, records that are not done are lost.
 * @throws ConfigError that names the option
 */
export function toLambdaHandler<Value = undefined>(
  handler: Handler<Value>,
  options: LambdaOptions<Value> = {},
): LambdaHandler {
  const [delivery, own] = splitOptions(options);
  const policy = resolveDelivery(delivery);
  checkFunction("handler", handler);
  return lambdaHandler(own, (pushed) => {
    return new PushedDelivery((source) => deliveryOf(handler as Handler, policy, source), pushed);
  });
}

/** The same for a batch handler, with the options of `scanBatch`. @throws ConfigError that names the option */
export function toLambdaBatchHandler<Value = undefined>(
  handler: BatchHandler<Value>,
  options: LambdaBatchOptions<Value> = {},
): LambdaHandler {
  const [delivery, own] = splitBatchOptions(options);
  const policy = resolveBatches(delivery);
  checkFunction("handler", handler);
  return lambdaHandler(own, (pushed) => {
    return new PushedDelivery((source) => batches(handler as BatchHandler, policy, source), pushed);
  });
}

function lambdaHandler(options: ResolvedLambdaOptions, open: OpenStream): LambdaHandler {
  const { clock, drainTimeoutMs } = options;
  const streamOf = streams(options, open);
  return async (event, context) => {
    const deadline = new InvocationDeadline(context, drainTimeoutMs, clock);
    try {
      const shards = shardsOf(event);
      const outcomes = await Promise.allSettled(
        shards.map((shard) => deliver(streamOf(shard), shard, deadline, clock.now())),
      );
      return answerOf(outcomes);
    } finally {
      deadline.close();
    }
  };
}

/** One delivery for each stream, reused by later invocations. */
function streams(
  { application, deaggregate, counter, logger, clock, random }: ResolvedLambdaOptions,
  open: OpenStream,
): (shard: EventShard) => PushedDelivery {
  const known = new Map<string, PushedDelivery>();
  return ({ streamARN, streamName }) => {
    const stream =
      known.get(streamARN) ??
      open({
        source: { application, streamName, streamARN },
        deaggregate,
        counter,
        logger,
        clock,
        random,
      });
    known.set(streamARN, stream);
    return stream;
  };
}

/** Returns the sequence number of the first record that is not done. @throws an error that no record caused */
function deliver(
  stream: PushedDelivery,
  { shardId, records }: EventShard,
  { stop, abandon, drainTimeoutMs }: InvocationDeadline,
  now: number,
): Promise<string | undefined> {
  const { ApproximateArrivalTimestamp: newest } = records.at(-1)!;
  const millisBehindLatest = Math.max(0, now - newest.getTime());
  return stream.deliver({ shardId, records, millisBehindLatest, stop, abandon, drainTimeoutMs });
}

/** @throws the first error that no record caused */
function answerOf(outcomes: readonly PromiseSettledResult<string | undefined>[]): LambdaAnswer {
  const batchItemFailures: LambdaAnswer["batchItemFailures"] = [];
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") throw outcome.reason;
    if (outcome.value !== undefined) batchItemFailures.push({ itemIdentifier: outcome.value });
  }
  return { batchItemFailures };
}
