import type { StoreCalls } from "../checkpoints/store-calls.ts";
import { aborted } from "../deadline.ts";
import type { GroupHost } from "../groups/group.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { ResolvedOptions } from "../options/resolve-options.ts";
import type { ShardRuns } from "./shard-runs.ts";

/** The members of a host that the scan provides. */
type OfScan = Pick<GroupHost, "over" | "fail" | "read">;

/** Creates the host through which a group works with its scan. */
export function groupHost(
  options: ResolvedOptions,
  stream: StreamClient,
  calls: StoreCalls,
  runs: ShardRuns,
  ofScan: OfScan,
): GroupHost {
  const { scope, store, clock, random, telemetry, discoveryIntervalMs, drainTimeoutMs } = options;
  return {
    scope,
    store,
    clock,
    random,
    telemetry,
    discoveryIntervalMs,
    drainTimeoutMs,
    ...ofScan,
    blockage: () => runs.blockage(clock.monotonic()),
    async untilAble(signal) {
      await stream.listShards(signal);
      await Promise.race([runs.untilIdle(), aborted(signal)]);
      signal.throwIfAborted();
    },
    listShards: (signal) => stream.listShards(signal),
    loadCheckpoints: (signal) =>
      calls.retry("getCheckpoints", signal, (call) => store.getCheckpoints(scope, call)),
  };
}
