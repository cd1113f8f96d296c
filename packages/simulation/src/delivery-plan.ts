import type { BatchOptions, Ordering, RetryOptions } from "@kc/core";
import { Random } from "./random.ts";

/** How the records of a story are delivered. */
export interface DeliveryPlan {
  readonly concurrency: number;
  readonly ordering: Ordering;
  /** Undefined = one attempt. */
  readonly retry?: Required<Omit<RetryOptions, "shouldRetry">>;
  readonly onFailure: "stop" | "skip" | "queue";
  /** The part of the attempts that fail, and of the records that fail each time. */
  readonly failing: number;
  readonly poison: number;
  /** Undefined = handlers may take as long as they like. */
  readonly handlerTimeoutMs?: number;
  /** Undefined = no record is too old. */
  readonly maxRecordAgeMs?: number;
  /** Undefined = the handler gets one record at a time. */
  readonly batches?: BatchPlan;
  /** Do handlers end when their signals abort? */
  readonly heeds: boolean;
  /** Undefined = the memory store's; 0 = the store keeps none. */
  readonly maxAheadBytes?: number;
}

export type BatchPlan = Required<
  Pick<BatchOptions, "maxRecords" | "maxBytes" | "maxWaitMs" | "bisect">
>;

/** The longest delay that a handler asks for, in milliseconds. */
export const LONGEST_ASKED_MS = 1000;

/** One record after another, as without options. */
export const ONE_BY_ONE: DeliveryPlan = {
  concurrency: 1,
  ordering: "key",
  onFailure: "stop",
  failing: 0,
  poison: 0,
  heeds: false,
};

/** The part of the stories whose handlers are called with options. */
const SHARE = 0.5;

/**
 * What delivery leaves to chance comes from a source of its own: a story without it is the same as if
 * there were none.
 */
export function deliveryRandom(seed: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) ^ 0x7f4a7c15);
}

/** Undefined = the story's handler is called without options. */
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
    // Some scans end by their handlers; most stories are longer without.
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
