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
  partBatchOptions,
  partOptions,
  type LambdaBatchOptions,
  type LambdaOptions,
  type ResolvedLambdaOptions,
} from "./lambda-options.ts";
import { TimeLeft } from "./time-left.ts";

/** Delivers the records of a stream, by the options of one function. */
type OpenStream = (options: PushedDeliveryOptions) => PushedDelivery;

/**
 * A function for the event source mapping of a Kinesis stream, which brings an event's records to the handler
 * as `scan` does, with the same options. It answers with the first record of each shard that is not done;
 * the mapping needs `ReportBatchItemFailures`, or these records are lost.
 * @throws ConfigError that names the option
 */
export function toLambdaHandler<Value = undefined>(
  handler: Handler<Value>,
  options: LambdaOptions<Value> = {},
): LambdaHandler {
  const [delivery, own] = partOptions(options);
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
  const [delivery, own] = partBatchOptions(options);
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
    const time = new TimeLeft(context, drainTimeoutMs, clock);
    try {
      const shards = shardsOf(event);
      const outcomes = await Promise.allSettled(
        shards.map((shard) => deliver(streamOf(shard), shard, time, clock.now())),
      );
      return answerOf(outcomes);
    } finally {
      time.close();
    }
  };
}

/** One delivery for each stream, kept from one invocation to the next. */
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

/** The number of the first record that is not done. @throws what is no record's fault */
function deliver(
  stream: PushedDelivery,
  { shardId, records }: EventShard,
  { stop, abandon, drainTimeoutMs }: TimeLeft,
  now: number,
): Promise<string | undefined> {
  const { ApproximateArrivalTimestamp: newest } = records.at(-1)!;
  const millisBehindLatest = Math.max(0, now - newest.getTime());
  return stream.deliver({ shardId, records, millisBehindLatest, stop, abandon, drainTimeoutMs });
}

/** @throws the first fault that is no record's */
function answerOf(outcomes: readonly PromiseSettledResult<string | undefined>[]): LambdaAnswer {
  const batchItemFailures: LambdaAnswer["batchItemFailures"] = [];
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") throw outcome.reason;
    if (outcome.value !== undefined) batchItemFailures.push({ itemIdentifier: outcome.value });
  }
  return { batchItemFailures };
}
