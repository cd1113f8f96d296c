import { inspect } from "node:util";
import { checkedStore } from "./checkpoints/checked-store.ts";
import type { LeaseStore } from "./checkpoints/lease-store.ts";
import { MemoryStore } from "./checkpoints/memory-store.ts";
import type { StartPosition, Store, StoreScope } from "./checkpoints/store.ts";
import { MAX_TIMER_MS, systemClock, type Clock } from "./clock.ts";
import { ConfigError } from "./errors.ts";
import { AllGroup } from "./groups/all-group.ts";
import type { AnyGroup, Group, LeasingGroup } from "./groups/group.ts";
import { checkOptionNames } from "./option-names.ts";
import type { KinesisClientLike } from "./kinesis/stream-client.ts";
import { streamNameOf, type StreamId } from "./kinesis/stream-id.ts";
import type { WireOption } from "./kinesis/wire/wire.ts";
import type { Counter } from "./telemetry/counter.ts";
import type { Logger } from "./telemetry/logger.ts";
import { Telemetry } from "./telemetry/telemetry.ts";

/** `docs/configuration.md` has each of these with its bounds. */
export interface ConsumerOptions {
  /** The stream's name, or its ARN: then every call carries the ARN, as cross-account reads need. */
  readonly stream: string;
  /** The name that progress is kept under. Needed with a store. @default "default" without one */
  readonly application?: string;
  /** Where progress is kept. @default none: this process's memory alone, with a warning */
  readonly store?: Store;
  /** Which shards this process reads. @default new AllGroup() */
  readonly group?: Group;
  /** @default a KinesisClient of our own for each scan, from the environment, closed afterwards */
  readonly client?: KinesisClientLike;
  /** @default none */
  readonly counter?: Counter;
  /** @default none */
  readonly logger?: Logger;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Numbers in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
  /** Where the application's very first start begins to read. @default "LATEST" */
  readonly start?: StartPosition;
  /** From the start of one poll of a shard to the next; below 200 counts as 200. @default 250 */
  readonly scanIntervalMs?: number;
  /** Poll again at once while a shard is behind. @default false */
  readonly immediateRescan?: boolean;
  /** The most records one poll asks for, 1 to 10,000. @default 10000 */
  readonly maxRecords?: number;
  /** What GetRecords speaks: CBOR, or JSON where that is not understood. @default "auto" */
  readonly wire?: WireOption;
  /** From one poll of an idle shard to the next where the shards are many. @default 1000 */
  readonly idleIntervalMs?: number;
  /** The most memory that pages may take up, over all shards, in bytes. @default 64 MiB */
  readonly maxBufferedBytes?: number;
  /** The part of each shard's read quota that this application may use. @default 1 */
  readonly readShare?: number;
  /** From one checkpoint write of a shard to the next; 0 = after each record. @default the store's */
  readonly flushIntervalMs?: number;
  /** Delivery pauses when finished work has waited so long for the store. @default 30000 */
  readonly maxUnflushedMs?: number;
  /** How long a stop waits for running handlers and the store. @default 20000 */
  readonly drainTimeoutMs?: number;
  /** From one listing of the shards to the next. @default 30000 */
  readonly discoveryIntervalMs?: number;
  /** Called once a closed shard's end is checkpointed. What it throws stops the scan. */
  readonly onShardClosed?: (shardId: string) => unknown;
}

/** The same with a group that needs leases, and so a store that has them. */
export type LeasingConsumerOptions = Omit<ConsumerOptions, "group" | "store"> & {
  readonly store: LeaseStore;
  readonly group: LeasingGroup;
};

/** The options with every default in its place. */
export interface ResolvedOptions {
  readonly streamId: StreamId;
  readonly scope: StoreScope;
  readonly store: Store;
  readonly keepsProgress: boolean;
  readonly group: AnyGroup;
  readonly client: KinesisClientLike | undefined;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly random: () => number;
  readonly start: StartPosition;
  readonly scanIntervalMs: number;
  readonly immediateRescan: boolean;
  readonly maxRecords: number;
  readonly wire: WireOption;
  readonly idleIntervalMs: number;
  readonly maxBufferedBytes: number;
  readonly readShare: number;
  readonly flushIntervalMs: number;
  readonly maxUnflushedMs: number;
  readonly drainTimeoutMs: number;
  readonly discoveryIntervalMs: number;
  readonly onShardClosed: ((shardId: string) => unknown) | undefined;
}

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const STREAM_ARN = /^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream\/[a-zA-Z0-9_.-]{1,128}$/;
/** Databases disagree on control characters: some cut a name at NUL, some refuse it. */
const APPLICATION_NAME = /^[^\p{Cc}\p{Surrogate}]{1,255}$/u;
const MIB = 1024 * 1024;

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
  idleIntervalMs: true,
  maxBufferedBytes: true,
  readShare: true,
  flushIntervalMs: true,
  maxUnflushedMs: true,
  drainTimeoutMs: true,
  discoveryIntervalMs: true,
  onShardClosed: true,
};

/** Checks every option and fills in the defaults. @throws ConfigError that names the option */
export function resolveOptions(options: ConsumerOptions | LeasingConsumerOptions): ResolvedOptions {
  checkOptionNames(options, Object.keys(OPTION_NAMES), "options");
  const streamId = resolveStream(options.stream);
  const streamName = streamNameOf(streamId);
  const application = resolveApplication(options);
  // Defaults stand for `undefined` alone: a null is a mistake, not a wish.
  const {
    store = new MemoryStore(),
    clock = systemClock,
    random = Math.random,
    start = "LATEST",
    maxRecords = 10_000,
    wire = "auto",
    maxBufferedBytes = 64 * MIB,
    readShare = 1,
  } = options;
  const group: AnyGroup = options.group === undefined ? new AllGroup() : options.group;
  requireMethods("store", store, ["openApplication", "getCheckpoints", "setCheckpoints"]);
  requireCapabilities(store);
  requireMethods("group", group, ["run"]);
  requireMethods("client", options.client, ["send"]);
  requireMethods("counter", options.counter, ["add"]);
  requireMethods("logger", options.logger, ["debug", "info", "warn", "error"]);
  requireMethods("clock", clock, ["now", "monotonic", "setTimer", "yield"]);
  requireFunction("random", random);
  requireFunction("onShardClosed", options.onShardClosed);
  group.validate?.(options.store);
  const { counter, logger } = options;
  return {
    streamId,
    scope: { application, streamName },
    store: checkedStore(store),
    keepsProgress: options.store !== undefined,
    group,
    client: options.client,
    telemetry: new Telemetry({ counter, logger }, { stream: streamName, application }, clock),
    clock,
    random,
    start: resolveStart(start),
    scanIntervalMs: duration("scanIntervalMs", options.scanIntervalMs, 250),
    immediateRescan: resolveBoolean("immediateRescan", options.immediateRescan, false),
    maxRecords: resolveMaxRecords(maxRecords),
    wire: resolveWire(wire),
    idleIntervalMs: duration("idleIntervalMs", options.idleIntervalMs, 1000),
    maxBufferedBytes: resolveMaxBufferedBytes(maxBufferedBytes),
    readShare: resolveReadShare(readShare),
    flushIntervalMs: duration(
      "flushIntervalMs",
      options.flushIntervalMs,
      store.capabilities.flushIntervalMs,
    ),
    maxUnflushedMs: duration("maxUnflushedMs", options.maxUnflushedMs, 30_000),
    drainTimeoutMs: duration("drainTimeoutMs", options.drainTimeoutMs, 20_000),
    discoveryIntervalMs: duration("discoveryIntervalMs", options.discoveryIntervalMs, 30_000, 1000),
    onShardClosed: options.onShardClosed,
  };
}

function resolveStream(stream: unknown): StreamId {
  if (typeof stream !== "string" || stream === "") {
    throw new ConfigError("stream", "a stream's name or ARN is needed");
  }
  if (stream.startsWith("arn:")) {
    if (STREAM_ARN.test(stream)) return { StreamARN: stream };
    throw new ConfigError("stream", `"${stream}" is not the ARN of a Kinesis data stream`);
  }
  if (STREAM_NAME.test(stream)) return { StreamName: stream };
  throw new ConfigError(
    "stream",
    `"${stream}" is not a stream's name: 1 to 128 letters, digits, "_", "." and "-"`,
  );
}

function resolveApplication({
  application,
  store,
}: Pick<ConsumerOptions, "application" | "store">): string {
  if (application === undefined && store === undefined) return "default";
  if (typeof application !== "string" || !APPLICATION_NAME.test(application)) {
    throw new ConfigError(
      "application",
      "a name of 1 to 255 characters, none a control character or half of a surrogate pair, is needed: the store keeps " +
        "this consumer's progress under it",
    );
  }
  return application;
}

function resolveStart(start: unknown): StartPosition {
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  const timestamp = typeof start === "object" && start !== null && "timestamp" in start;
  if (!timestamp) {
    throw new ConfigError("start", `"LATEST", "TRIM_HORIZON" or { timestamp: Date } is needed`);
  }
  const date = start.timestamp;
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw new ConfigError("start.timestamp", "a valid Date is needed");
  }
  return { timestamp: new Date(date) };
}

function resolveMaxRecords(maxRecords: unknown): number {
  if (Number.isInteger(maxRecords) && Number(maxRecords) >= 1 && Number(maxRecords) <= 10_000) {
    return Number(maxRecords);
  }
  throw new ConfigError(
    "maxRecords",
    `a whole number from 1 to 10,000 is needed, not ${String(maxRecords)}`,
  );
}

function resolveWire(wire: unknown): WireOption {
  if (wire === "auto" || wire === "cbor" || wire === "json" || wire === "sdk") return wire;
  throw new ConfigError("wire", `"auto", "cbor", "json" or "sdk" is needed, not ${inspect(wire)}`);
}

function resolveMaxBufferedBytes(bytes: unknown): number {
  if (Number.isInteger(bytes) && Number(bytes) >= 16 * MIB) return Number(bytes);
  throw new ConfigError(
    "maxBufferedBytes",
    `a whole number of bytes, 16 MiB (${16 * MIB}) or more, is needed, not ${inspect(bytes)}`,
  );
}

function resolveReadShare(share: unknown): number {
  if (typeof share === "number" && share > 0 && share <= 1) return share;
  throw new ConfigError(
    "readShare",
    `a number above 0, at most 1, is needed, not ${inspect(share)}`,
  );
}

function duration(name: string, value: unknown, byDefault: number, least = 0): number {
  if (value === undefined) return byDefault;
  if (typeof value === "number" && value >= least && value <= MAX_TIMER_MS) return value;
  throw new ConfigError(
    name,
    `a number of milliseconds from ${least} to ${MAX_TIMER_MS} is needed, not ${inspect(value)}`,
  );
}

function resolveBoolean(name: string, value: unknown, byDefault: boolean): boolean {
  if (value === undefined) return byDefault;
  if (typeof value === "boolean") return value;
  throw new ConfigError(name, `true or false is needed, not ${inspect(value)}`);
}

function requireMethods(name: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return;
  for (const method of methods) {
    if (typeof (value as Record<string, unknown> | null)?.[method] !== "function") {
      throw new ConfigError(
        name,
        `an object with ${methods.join(", ")} is needed; ${method} is missing`,
      );
    }
  }
}

function requireCapabilities({ capabilities }: { capabilities?: Store["capabilities"] }): void {
  const { flushIntervalMs, flush } = capabilities ?? {};
  const isInterval =
    typeof flushIntervalMs === "number" && flushIntervalMs >= 0 && flushIntervalMs <= MAX_TIMER_MS;
  if (isInterval && (flush === "together" || flush === "spread")) return;
  throw new ConfigError(
    "store",
    `its capabilities are missing or wrong: flushIntervalMs is a number from 0 to ${MAX_TIMER_MS}, and ` +
      `flush "together" or "spread": see StoreCapabilities`,
  );
}

function requireFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") {
    throw new ConfigError(name, "a function is needed");
  }
}
