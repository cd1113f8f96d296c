import type { BatchOptions, Ordering, RetryOptions } from "@kc/core";
import { Random } from "./random.ts";

/** The options of a story's scans. */
export interface DeliveryPlan {
  readonly concurrency: number;
  readonly ordering: Ordering;
  /** `undefined`: one attempt. */
  readonly retry?: Required<Omit<RetryOptions, "shouldRetry">>;
  readonly onFailure: "stop" | "skip" | "queue";
  /** The fraction of attempts that fail, and of records that always fail. */
  readonly failing: number;
  readonly poison: number;
  /** `undefined`: no timeout. */
  readonly handlerTimeoutMs?: number;
  /** `undefined`: no limit. */
  readonly maxRecordAgeMs?: number;
  /** `undefined`: the handler gets single records. */
  readonly batches?: BatchPlan;
  /** Whether handlers end when their signals abort. */
  readonly heeds: boolean;
  /** `undefined`: the memory store's limit; 0: not supported. */
  readonly maxAheadBytes?: number;
}

export type BatchPlan = Required<
  Pick<BatchOptions, "maxRecords" | "maxBytes" | "maxWaitMs" | "bisect">
>;

/** The longest delay that a handler requests, in milliseconds. */
export const MAX_ASKED_MS = 1000;

/** One record at a time, as without options. */
export const ONE_BY_ONE: DeliveryPlan = {
  concurrency: 1,
  ordering: "key",
  onFailure: "stop",
  failing: 0,
  poison: 0,
  heeds: false,
};

/** The fraction of stories with options. */
const SHARE = 0.5;

/**
 * A separate source of randomness, so that stories without options do not depend on delivery plans.
 */
export function deliveryRandom(seed: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) ^ 0x7f4a7c15);
}

/** Returns `undefined` for a story without options. */
export function planOf(random: Random): DeliveryPlan | undefined {
  if (!random.chance(SHARE)) return undefined;
  const concurrency = random.pick([1, 2, 5, 20, 100]);
  const ordering = random.pick<Ordering>(["key", "key", "key", "none"]);
  const failing = random.pick([0, 0.02, 0.2]);
  const onFailure = random.pick(["stop", "skip", "queue", "queue"] as const);
  const retry = failing > 0 ? retryOf(random, onFailure) : undefined;
  const handlerTimeoutMs =
    onFailure === "stop" && retry === undefined
      ? undefined
      : random.pick([undefined, undefined, 300, 2000]);
  const maxRecordAgeMs = onFailure === "stop" ? undefined : random.pick([undefined, 20_000]);
  const batches = random.chance(0.3) ? batchesOf(random) : undefined;
  const maxAheadBytes = random.pick([undefined, undefined, undefined, 0, 150]);
  return {
    concurrency,
    ordering,
    onFailure,
    failing,
    poison: onFailure === "stop" ? 0 : random.pick([0, 0.05]),
    heeds: random.chance(0.5),
    ...(retry !== undefined && { retry }),
    ...(handlerTimeoutMs !== undefined && { handlerTimeoutMs }),
    ...(maxRecordAgeMs !== undefined && { maxRecordAgeMs }),
    ...(batches !== undefined && { batches }),
    ...(maxAheadBytes !== undefined && { maxAheadBytes }),
  };
}

function retryOf(random: Random, onFailure: string): NonNullable<DeliveryPlan["retry"]> {
  return {
    // Few scans end by a failing handler, because most stories are longer without.
    maxAttempts: onFailure === "stop" ? random.pick([Infinity, Infinity, 3]) : random.between(1, 5),
    minDelayMs: random.pick([0, 20, 200]),
    maxDelayMs: random.pick([200, 1000]),
    factor: random.pick([1, 2]),
  };
}

function batchesOf(random: Random): BatchPlan {
  const maxRecords = random.pick([1, 3, 10, 50]);
  return {
    maxRecords,
    maxBytes: random.pick([30, 1_000_000]),
    maxWaitMs: random.pick([0, 0, 500, 3000]),
    bisect: maxRecords > 1 && random.chance(0.5),
  };
}
