import { checkedStore } from "../checkpoints/checked-store.ts";
import { MemoryStore } from "../checkpoints/memory-store.ts";
import type { Store, StoreScope } from "../checkpoints/store.ts";
import { MAX_TIMER_MS, type Clock } from "../clock.ts";
import { ConfigError } from "../errors.ts";
import { AllGroup } from "../groups/all-group.ts";
import type { AnyGroup } from "../groups/group.ts";
import type { KinesisClientLike } from "../kinesis/kinesis-client-like.ts";
import { resolveStream, streamNameOf, type StreamId } from "../kinesis/stream-id.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import type { ConsumerOptions, LeasingConsumerOptions } from "./consumer-options.ts";
import { checkOptionNames } from "./option-names.ts";
import { checkFunction, checkMethods } from "./option-values.ts";
import { checkApplicationName, resolveTools } from "./resolve-tools.ts";
import { resolveSettings, type ResolvedSettings } from "./resolve-settings.ts";

/** Consumer options, validated, with defaults applied. */
export interface ResolvedOptions extends ResolvedSettings {
  readonly streamId: StreamId;
  readonly scope: StoreScope;
  readonly store: Store;
  readonly keepsProgress: boolean;
  readonly group: AnyGroup;
  readonly client: KinesisClientLike | undefined;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onShardClosed: ((shardId: string) => unknown) | undefined;
}

const OPTION_NAMES: Readonly<Record<keyof ConsumerOptions, true>> = {
  stream: true,
  application: true,
  store: true,
  group: true,
  client: true,
  counter: true,
  logger: true,
  clock: true,
  random: true,
  start: true,
  scanIntervalMs: true,
  immediateRescan: true,
  maxRecords: true,
  wire: true,
  deaggregate: true,
  idleIntervalMs: true,
  maxBufferedBytes: true,
  readShare: true,
  flushIntervalMs: true,
  maxUnflushedMs: true,
  drainTimeoutMs: true,
  discoveryIntervalMs: true,
  onShardClosed: true,
};

/**
 * Validates every option and applies defaults. A default replaces `undefined` only: null is refused.
 * @throws ConfigError that names the option
 */
export function resolveOptions(options: ConsumerOptions | LeasingConsumerOptions): ResolvedOptions {
  checkOptionNames("Consumer", options, Object.keys(OPTION_NAMES));
  const streamId = resolveStream(options.stream);
  const streamName = streamNameOf(streamId);
  const application = checkApplication(options);
  const group: AnyGroup = options.group === undefined ? new AllGroup() : options.group;
  const { store = new MemoryStore(), client, onShardClosed } = options;
  checkStore(store);
  checkMethods("group", group, ["run"], "a group, such as AllGroup or LeaseGroup");
  const { clock, random, counter, logger } = resolveTools(options);
  if (client !== undefined) checkMethods("client", client, ["send"], "a KinesisClient");
  if (onShardClosed !== undefined) checkFunction("onShardClosed", onShardClosed);
  group.validate?.(options.store);
  return {
    streamId,
    scope: { application, streamName },
    store: checkedStore(store),
    keepsProgress: options.store !== undefined,
    group,
    client,
    telemetry: new Telemetry({ counter, logger }, { stream: streamName, application }, clock),
    clock,
    random,
    onShardClosed,
    ...resolveSettings(options, store.capabilities),
  };
}

function checkApplication({
  application,
  store,
}: Pick<ConsumerOptions, "application" | "store">): string {
  if (application === undefined && store === undefined) return "default";
  return checkApplicationName(application, "the store keeps this consumer's progress under it");
}

function checkStore(store: Store): void {
  const methods = ["openApplication", "getCheckpoints", "setCheckpoints"];
  checkMethods("store", store, methods, "a Store, such as SqliteStore");
  const capabilities = (store.capabilities ?? {}) as Partial<Store["capabilities"]>;
  const { flushIntervalMs, flush, maxAheadBytes = 0 } = capabilities;
  const isInterval =
    typeof flushIntervalMs === "number" && flushIntervalMs >= 0 && flushIntervalMs <= MAX_TIMER_MS;
  const isFlush = flush === "together" || flush === "spread";
  if (isInterval && isFlush && Number.isSafeInteger(maxAheadBytes) && maxAheadBytes >= 0) return;
  throw new ConfigError(
    "store",
    `its capabilities are missing or wrong: flushIntervalMs is a number from 0 to ${MAX_TIMER_MS}, ` +
      `flush "together" or "spread", and maxAheadBytes, if present, a whole number of at least 0: ` +
      `see StoreCapabilities`,
  );
}
