import { formatCheckpoint, type Checkpoint } from "./checkpoints/position.ts";
import { describeError, printable } from "./describe-error.ts";

export { describeError, printable };

/**
 * Every code an error of this library can carry. `docs/errors.md` has a heading for each: what
 * happened, and what to do.
 */
export type KcErrorCode = (typeof KC_ERROR_CODES)[number];

/** Every error code. */
export const KC_ERROR_CODES = [
  "CONFIG_INVALID",
  "SCAN_ACTIVE",
  "HANDLER_FAILED",
  "HOOK_FAILED",
  "GROUP_FAILED",
  "DRAIN_TIMEOUT",
  "STREAM_NOT_FOUND",
  "STREAM_RECREATED",
  "SHARD_NOT_FOUND",
  "CHECKPOINT_REFUSED",
  "KINESIS_ACCESS_DENIED",
  "KINESIS_FAILED",
  "STORE_UNAVAILABLE",
  "STORE_ACCESS_DENIED",
  "STORE_SCHEMA",
  "STORE_CORRUPT",
  "STORE_FAILED",
  "STORE_CLOSED",
  "STORE_REGRESSED",
  "NAMESPACE_CONFLICT",
  "LEASE_LOST",
  "WORKER_ID_IN_USE",
  "TRANSACTION_MISUSED",
  "TRANSACTION_REFUSED",
  "DEAD_LETTERS_UNAVAILABLE",
  "DEAD_LETTERS_REFUSED",
  "DEAD_LETTERS_CORRUPT",
  "DEAD_LETTERS_CLOSED",
] as const;

export interface KcErrorOptions {
  /** True if the same call may succeed later with nothing changed. @default false */
  readonly retryable?: boolean;
  /** What was thrown first. @default none */
  readonly cause?: unknown;
  /** The shard that the error is about. The message names it too. @default none */
  readonly shardId?: string;
}

const brand: unique symbol = Symbol.for("@kc/error");

/** The base of all errors of this library: a stable `code`, `retryable`, the shard, the cause. */
export class KcError extends Error {
  readonly [brand] = true as const;
  readonly code: KcErrorCode;
  /** True if the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
  /** The shard that the error is about; undefined = none. */
  readonly shardId: string | undefined;

  constructor(code: KcErrorCode, message: string, options: KcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.shardId = options.shardId;
  }

  /** True for an error of any installed copy of this library; `instanceof` recognises one copy only. */
  static is(error: unknown): error is KcError {
    return typeof error === "object" && error !== null && brand in error;
  }
}

/** An option is wrong. Thrown by constructors, and by methods for their own arguments. */
export class ConfigError extends KcError {
  /** The option's name, as in `scanIntervalMs` or `start.timestamp`. */
  readonly option: string;

  /** `message` may quote what was given: it is cut, and control characters are escaped. */
  constructor(option: string, message: string) {
    super("CONFIG_INVALID", printable(`${option}: ${message}`));
    this.option = option;
  }
}

/** An error of a store. `retryable` is true for an outage that may pass. */
export class StoreError extends KcError {}

/** An error of a `DeadLetterQueue`. `retryable` is true for an outage that may pass. */
export class DeadLetterError extends KcError {}

/** The fence no longer holds: another worker owns the shard, and this write was refused. */
export class LeaseLostError extends KcError {
  constructor(shardId: string, detail: string, options: { cause?: unknown } = {}) {
    super("LEASE_LOST", `${shardId}: the lease was lost: ${detail}`, { ...options, shardId });
  }
}

/** Two applications or two streams would share one set of checkpoints. */
export class NamespaceConflictError extends KcError {
  constructor(message: string) {
    super("NAMESPACE_CONFLICT", message);
  }
}

/** The store has less than it had acknowledged: it was emptied, restored from a copy, or reset meanwhile. */
export class StoreRegressedError extends KcError {
  constructor(message: string, options: { cause?: unknown; shardId?: string } = {}) {
    super("STORE_REGRESSED", message, options);
  }
}

/** A shard whose work did not end within `drainTimeoutMs`. */
export interface UndrainedShard {
  readonly shardId: string;
  /** The checkpoint that the store has acknowledged: the next scan continues after it. */
  readonly acknowledged: Checkpoint | undefined;
  /** `handler`: a handler was still running. `flush`: the store did not take the checkpoint. */
  readonly waitingFor: "handler" | "flush";
}

/** A stop did not finish within `drainTimeoutMs`. Nothing is lost; the listed work will repeat. */
export class DrainTimeoutError extends KcError {
  readonly shards: readonly UndrainedShard[];

  constructor(drainTimeoutMs: number, shards: readonly UndrainedShard[], cause?: unknown) {
    const list = shards
      .map(({ shardId, acknowledged, waitingFor }) => {
        const from = acknowledged ? formatCheckpoint(acknowledged) : "the start";
        return `${shardId} (${waitingFor} still running; repeats after ${from})`;
      })
      .join(", ");
    super("DRAIN_TIMEOUT", `the stop did not finish within ${drainTimeoutMs} ms: ${list}`, {
      cause,
    });
    this.shards = shards;
  }
}

/** The error as this library reports it: a KcError as it is, anything else wrapped. */
export function toKcError(error: unknown, code: KcErrorCode, prefix: string): KcError {
  if (KcError.is(error)) return error;
  return new KcError(code, `${prefix}: ${describeError(error)}`, { cause: error });
}
