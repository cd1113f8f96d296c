import type { Empty, Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import type { StreamSettings } from "../model/stream-settings.ts";

/** In MiB per second. */
const MAX_WARM_THROUGHPUT = 10 * 1024;

type Mode = StreamSettings["mode"];
type Distribution = StreamSettings["distribution"];

export function updateStreamMode(model: Model, input: Input<"UpdateStreamMode">): Empty {
  const { streams } = model;
  const stream = streams.findActive(input);
  const mode = input.StreamModeDetails!.StreamMode!;
  const warmThroughput = input.WarmThroughputMiBps;
  if (warmThroughput !== undefined) checkWarmThroughput(model, mode, warmThroughput);
  streams.checkShardLimit((warmThroughput ?? 0) - stream.open.count);
  model.callQuotas.admitToday("UpdateStreamMode", stream);
  streams.transition(stream, "UPDATING", (now) => {
    const { settings } = stream;
    settings.mode = mode;
    settings.warmThroughput = warmThroughput;
    if (mode === "PROVISIONED") settings.distribution = "USER_PARTITION_KEY";
    if (warmThroughput !== undefined && warmThroughput > stream.open.count) {
      stream.scale(warmThroughput, now);
    }
  });
  return {};
}

export function updateStreamRecordDistributionStrategy(
  { streams }: Model,
  input: Input<"UpdateStreamRecordDistributionStrategy">,
): Empty {
  const { settings } = streams.findActive(input);
  checkDistribution(settings.mode, input.RecordDistributionStrategy!);
  settings.distribution = input.RecordDistributionStrategy!;
  return {};
}

/** Scales the stream to one shard per MiB/s. The emulator scales on-demand streams in no other way. */
export function updateStreamWarmThroughput(
  model: Model,
  input: Input<"UpdateStreamWarmThroughput">,
): Output<"UpdateStreamWarmThroughput"> {
  const { streams } = model;
  const stream = streams.findActive(input);
  const { settings } = stream;
  const target = input.WarmThroughputMiBps!;
  checkWarmThroughput(model, settings.mode, target);
  const current = settings.warmThroughput ?? stream.open.count;
  streams.checkShardLimit(target - stream.open.count);
  streams.transition(stream, "UPDATING", (now) => {
    settings.warmThroughput = target;
    stream.scale(Math.max(1, target), now);
  });
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    WarmThroughput: { TargetMiBps: target, CurrentMiBps: current },
  };
}

export function updateMaxRecordSize(
  { streams }: Model,
  input: Input<"UpdateMaxRecordSize">,
): Empty {
  const stream = streams.findActive(input);
  streams.transition(stream, "UPDATING", () => {
    stream.settings.maxRecordSize = input.MaxRecordSizeInKiB! * 1024;
  });
  return {};
}

/** @throws InvalidArgumentException if mode or account do not allow it, LimitExceededException above the maximum */
export function checkWarmThroughput(model: Model, mode: Mode, target: number): void {
  if (mode !== "ON_DEMAND") {
    throw invalid("WarmThroughputMiBps is supported for streams in ON_DEMAND mode only.");
  }
  if (!model.account.hasCommitment(model.streams.now())) {
    throw invalid(
      "WarmThroughputMiBps needs an account with MinimumThroughputBillingCommitment ENABLED: " +
        "see UpdateAccountSettings.",
    );
  }
  if (target > MAX_WARM_THROUGHPUT) {
    const message = `WarmThroughputMiBps ${target} is above the limit of ${MAX_WARM_THROUGHPUT}.`;
    throw serviceError("LimitExceededException", message);
  }
}

/** @throws InvalidArgumentException for AUTO on a provisioned stream */
export function checkDistribution(mode: Mode, distribution: Distribution): void {
  if (distribution !== "AUTO" || mode === "ON_DEMAND") return;
  throw invalid("RecordDistributionStrategy AUTO is supported for streams in ON_DEMAND mode only.");
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
