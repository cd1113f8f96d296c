import { ConfigError } from "../errors.ts";
import type { Decoder } from "../delivery/decode.ts";
import type { DeadLetterQueue } from "../delivery/letters/dead-letter.ts";
import type { RetryPolicy } from "../delivery/failure-policy.ts";
import type { ConsumerRecord } from "../record.ts";
import type {
  BatchOptions,
  DeliveryOptions,
  Ordering,
  RetryOptions,
  TransactionOptions,
} from "./delivery-options.ts";
import { checkOptionNames } from "./option-names.ts";
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkMethods,
  checkOneOf,
  checkWholeNumber,
} from "./option-values.ts";
import { checkScanOptions } from "./scan-options.ts";

/** Delivery options, validated, with defaults applied. */
export interface ResolvedDelivery {
  readonly signal: AbortSignal | undefined;
  readonly concurrency: number;
  readonly ordering: Ordering;
  readonly key: ((record: ConsumerRecord) => string) | undefined;
  readonly retry: RetryPolicy;
  /** Infinity = no limit. */
  readonly maxRecordAgeMs: number;
  readonly handlerTimeoutMs: number | undefined;
  readonly onFailure: "stop" | "skip" | DeadLetterQueue;
  readonly decode: Decoder<unknown> | undefined;
}

export interface ResolvedBatches extends ResolvedDelivery {
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly bisect: boolean;
}

export interface ResolvedTransactions extends ResolvedBatches {
  readonly transaction: "store" | "handler";
}

const DELIVERY: Readonly<Record<keyof DeliveryOptions, true>> = {
  signal: true,
  concurrency: true,
  ordering: true,
  key: true,
  retry: true,
  maxRecordAgeMs: true,
  handlerTimeoutMs: true,
  onFailure: true,
  decode: true,
};
const BATCHES: Readonly<Record<keyof BatchOptions, true>> = {
  ...DELIVERY,
  maxRecords: true,
  maxBytes: true,
  maxWaitMs: true,
  bisect: true,
};
const RETRY: Readonly<Record<keyof RetryOptions, true>> = {
  maxAttempts: true,
  minDelayMs: true,
  maxDelayMs: true,
  factor: true,
  shouldRetry: true,
};

const MAX_IN_FLIGHT = 10_000;
const MIB = 1024 * 1024;

/** Validates the options of `scan` and `scanShard`. @throws ConfigError that names the option */
export function resolveDelivery<Value>(options: DeliveryOptions<Value>): ResolvedDelivery {
  return resolve(options, Object.keys(DELIVERY));
}

/** Validates the options of `scanBatch`. @throws ConfigError that names the option */
export function resolveBatches<Value>(options: BatchOptions<Value>): ResolvedBatches {
  const delivery = resolve(options, Object.keys(BATCHES));
  const { maxRecords = 100, maxBytes = 6 * MIB, maxWaitMs = 0, bisect = false } = options;
  checkBoolean("bisect", bisect);
  if (maxRecords === 1 && bisect) {
    throw new ConfigError("bisect", "a batch of 1 record cannot be halved: leave bisect out");
  }
  return {
    ...delivery,
    maxRecords: checkWholeNumber("maxRecords", maxRecords, { min: 1, max: MAX_IN_FLIGHT }),
    maxBytes: checkWholeNumber("maxBytes", maxBytes, { min: 1, max: Infinity }, "bytes"),
    maxWaitMs: checkDuration("maxWaitMs", maxWaitMs),
    bisect,
  };
}

/** Validates the options of `scanTransaction`. @throws ConfigError that names the option */
export function resolveTransactions<Value>(
  options: TransactionOptions<Value>,
): ResolvedTransactions {
  const { transaction = "store", ...batches } = checkScanOptions(options, [
    ...Object.keys(BATCHES),
    "transaction",
  ]) as TransactionOptions<Value> & BatchOptions<Value>;
  checkOneOf("transaction", transaction, ["store", "handler"]);
  const { concurrency = 1, ordering = "shard", key, maxRecords } = batches;
  const why =
    "a checkpoint covers all that comes before it, so a shard has one transaction at a time";
  if (concurrency !== 1) throw new ConfigError("concurrency", `${why}: leave it out`);
  if (ordering !== "shard") throw new ConfigError("ordering", `${why}, in order: leave it out`);
  if (key !== undefined) throw new ConfigError("key", `${why}, whatever the keys: leave it out`);
  const { bisect = maxRecords !== 1 } = batches;
  return { ...resolveBatches({ ...batches, ordering, bisect }), transaction };
}

function resolve<Value>(
  options: DeliveryOptions<Value>,
  names: readonly string[],
): ResolvedDelivery {
  const { signal } = checkScanOptions(options, names);
  const { concurrency = 1, key, retry, maxRecordAgeMs, handlerTimeoutMs, decode } = options;
  const { ordering = "key", onFailure = "stop" } = options;
  const resolved: ResolvedDelivery = {
    signal,
    concurrency: checkWholeNumber("concurrency", concurrency, { min: 1, max: MAX_IN_FLIGHT }),
    ordering: checkOneOf("ordering", ordering, ["key", "shard", "none"]),
    key,
    retry: resolveRetry(retry),
    maxRecordAgeMs:
      maxRecordAgeMs === undefined ? Infinity : checkDuration("maxRecordAgeMs", maxRecordAgeMs, 1),
    handlerTimeoutMs:
      handlerTimeoutMs === undefined
        ? undefined
        : checkDuration("handlerTimeoutMs", handlerTimeoutMs, 1),
    onFailure: checkOnFailure(onFailure),
    decode: checkDecode(decode),
  };
  if (key !== undefined) checkFunction("key", key);
  checkTogether(resolved);
  return resolved;
}

/** Refuses combinations in which one option has no effect, or a harmful one. */
function checkTogether(options: ResolvedDelivery): void {
  const { concurrency, ordering, key, maxRecordAgeMs, onFailure } = options;
  if (ordering === "shard" && concurrency > 1) {
    throw new ConfigError(
      "concurrency",
      `in the order of the shard one is handled at a time: leave out concurrency, or take ` +
        `ordering "key" or "none"`,
    );
  }
  if (key !== undefined && ordering !== "key") {
    throw new ConfigError(
      "key",
      `has no effect with ordering "${ordering}": leave one of them out`,
    );
  }
  if (maxRecordAgeMs !== Infinity && onFailure === "stop") {
    throw new ConfigError(
      "maxRecordAgeMs",
      `an old record could never be passed: it needs onFailure: "skip", or a dead-letter queue`,
    );
  }
}

function resolveRetry(retry: RetryOptions | undefined): RetryPolicy {
  const once = { maxAttempts: 1, minDelayMs: 0, maxDelayMs: 0, factor: 1, shouldRetry: undefined };
  if (retry === undefined) return once;
  checkOptionNames("retry", retry, Object.keys(RETRY), "retry");
  const { maxAttempts = 3, minDelayMs = 100, factor = 2, shouldRetry } = retry;
  if (maxAttempts !== Infinity) {
    checkWholeNumber("retry.maxAttempts", maxAttempts, { min: 1, max: Infinity });
  }
  checkDuration("retry.minDelayMs", minDelayMs);
  const { maxDelayMs = Math.max(30_000, minDelayMs) } = retry;
  checkDuration("retry.maxDelayMs", maxDelayMs);
  if (maxDelayMs < minDelayMs) {
    throw new ConfigError(
      "retry.maxDelayMs",
      `must be at least minDelayMs, which is ${minDelayMs}`,
    );
  }
  if (typeof factor !== "number" || !(factor >= 1 && factor <= 1000)) {
    throw new ConfigError("retry.factor", `must be a number from 1 to 1000, not ${String(factor)}`);
  }
  if (shouldRetry !== undefined) checkFunction("retry.shouldRetry", shouldRetry);
  return { maxAttempts, minDelayMs, maxDelayMs, factor, shouldRetry };
}

function checkOnFailure(onFailure: unknown): "stop" | "skip" | DeadLetterQueue {
  if (typeof onFailure === "string") {
    return checkOneOf<"stop" | "skip">("onFailure", onFailure, ["stop", "skip"]);
  }
  checkMethods("onFailure", onFailure, ["send"], `"stop", "skip" or a dead-letter queue`);
  return onFailure as DeadLetterQueue;
}

function checkDecode<Value>(decode: Decoder<Value> | undefined): Decoder<unknown> | undefined {
  if (decode === undefined) return undefined;
  // Schemas of some libraries are functions themselves.
  const schema = (decode as Partial<Record<"~standard", { readonly validate?: unknown }>> | null)?.[
    "~standard"
  ];
  if (typeof decode === "function" || typeof schema?.validate === "function") return decode;
  throw new ConfigError("decode", "must be a function, or a schema with the member ~standard");
}
