import type { Empty, Input } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { defaultSettings } from "../model/stream-settings.ts";
import { addTags } from "./tags.ts";
import { checkDistribution, checkWarmThroughput } from "./stream-capacity.ts";

/** The initial number of shards of an on-demand stream. */
const ON_DEMAND_SHARDS = 4;

export function createStream(model: Model, input: Input<"CreateStream">): Empty {
  const { streams } = model;
  const settings = defaultSettings();
  settings.mode = input.StreamModeDetails?.StreamMode ?? "PROVISIONED";
  const shardCount = shardCountOf(settings.mode, input.ShardCount);
  if (input.WarmThroughputMiBps !== undefined) {
    checkWarmThroughput(model, settings.mode, input.WarmThroughputMiBps);
    settings.warmThroughput = input.WarmThroughputMiBps;
  }
  if (input.RecordDistributionStrategy !== undefined) {
    checkDistribution(settings.mode, input.RecordDistributionStrategy);
    settings.distribution = input.RecordDistributionStrategy;
  }
  if (input.MaxRecordSizeInKiB !== undefined) {
    settings.maxRecordSize = input.MaxRecordSizeInKiB * 1024;
  }
  const name = input.StreamName!;
  if (input.Tags !== undefined) addTags(model, name, settings.tags, input.Tags);
  const shards = Math.max(shardCount, settings.warmThroughput ?? 0);
  streams.checkShardLimit(shards);
  const creating = streams.list().filter(({ status }) => status === "CREATING");
  model.callQuotas.admitCreating(creating.length);
  streams.create(name, shards, settings);
  return {};
}

export function deleteStream({ streams }: Model, input: Input<"DeleteStream">): Empty {
  streams.delete(streams.findActive(input, "UPDATING"));
  return {};
}

function shardCountOf(mode: string, wanted: number | undefined): number {
  if (mode === "ON_DEMAND") {
    if (wanted === undefined) return ON_DEMAND_SHARDS;
    throw invalid("ShardCount is not expected when StreamMode=ON_DEMAND.");
  }
  if (wanted !== undefined) return wanted;
  throw invalid("ShardCount must be provided for a stream in PROVISIONED mode.");
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
