import type { Input, Output } from "../api/operation-types.ts";
import type { Model } from "../model/model.ts";
import { SHARD_LIMIT } from "../model/streams.ts";

/** Maximum number of on-demand streams of an account. */
const ON_DEMAND_STREAM_LIMIT = 50;

export function describeLimits({ streams }: Model): Output<"DescribeLimits"> {
  const onDemand = streams.list().filter(({ settings }) => settings.mode === "ON_DEMAND");
  return {
    ShardLimit: SHARD_LIMIT,
    OpenShardCount: streams.openShardCount,
    OnDemandStreamCount: onDemand.length,
    OnDemandStreamCountLimit: ON_DEMAND_STREAM_LIMIT,
  };
}

export function describeAccountSettings(model: Model): Output<"DescribeAccountSettings"> {
  const { status, startedAt, endedAt, earliestEndAt } = model.account.commitment(
    model.streams.now(),
  );
  return {
    MinimumThroughputBillingCommitment: {
      Status: status,
      ...(startedAt === undefined ? {} : { StartedAt: new Date(startedAt) }),
      ...(endedAt === undefined ? {} : { EndedAt: new Date(endedAt) }),
      ...(earliestEndAt === undefined ? {} : { EarliestAllowedEndAt: new Date(earliestEndAt) }),
    },
  };
}

export function updateAccountSettings(
  model: Model,
  input: Input<"UpdateAccountSettings">,
): Output<"UpdateAccountSettings"> {
  const now = model.streams.now();
  if (input.MinimumThroughputBillingCommitment!.Status === "ENABLED") model.account.commit(now);
  else model.account.cancel(now);
  return describeAccountSettings(model);
}
