import { formatCheckpoint, type Checkpoint } from "./checkpoints/position.ts";
import { describeError, printable } from "./describe-error.ts";

export { describeError, printable };

/** An error code of this library. `docs/errors.md` explains each: what happened, and what to do. */
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
  /** The original error. @default none */
  readonly cause?: unknown;
  /** The shard that the error is about. The message names it too. @default none */
  readonly shardId?: string;
}

const brand: unique symbol = Symbol.for("@kc/error");

/** Base class of all errors of this library. `code` is stable across versions. */
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

  /** True for an error of any installed copy of this library; `instanceof` recognises only one copy. */
  static is(error: unknown): error is KcError {
    return typeof error === "object" && error !== null && brand in error;
  }
}

/** An option is wrong. Thrown by constructors, and by methods for their own arguments. */
export class ConfigError extends KcError {
  /** The name of the option, such as `scanIntervalMs` or `start.timestamp`. */
  readonly option: string;

  /** `message` may quote the caller's value: it is cut, and control characters are escaped. */
  constructor(option: string, message: string) {
    super("CONFIG_INVALID", printable(`${option}: ${message}`));
    this.option = option;
  }
}

/** An error of a store. `retryable` is true for a temporary outage. */
export class StoreError extends KcError {}

/** An error of a `DeadLetterQueue`. `retryable` is true for a temporary outage. */
export class DeadLetterError extends KcError {}

/** The lease was lost: another worker owns the shard, so the fenced write was refused. */
export class LeaseLostError extends KcError {
  constructor(shardId: string, detail: string, options: { cause?: unknown } = {}) {
    super("LEASE_LOST", `${shardId}: the lease was lost: ${detail}`, { ...options, shardId });
  }
}

/** Two applications or two streams would share the same checkpoints. */
export class NamespaceConflictError extends KcError {
  constructor(message: string) {
    super("NAMESPACE_CONFLICT", message);
  }
}

/** The store has lost acknowledged progress: it was emptied, restored from a backup, or reset during the scan. */
export class StoreRegressedError extends KcError {
  constructor(message: string, options: { cause?: unknown; shardId?: string } = {}) {
    super("STORE_REGRESSED", message, options);
  }
}

/** A shard that was not drained within `drainTimeoutMs`. */
export interface UndrainedShard {
  readonly shardId: string;
  /** The last checkpoint that the store acknowledged: the next scan continues after it. */
  readonly acknowledged: Checkpoint | undefined;
  /** `handler`: a handler was still running. `flush`: the checkpoint was not written yet. */
  readonly waitingFor: "handler" | "flush";
}

/** A stop did not finish within `drainTimeoutMs`. Nothing is lost: the listed shards repeat some records. */
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

/** Returns a KcError as it is, and wraps anything else. */
export function toKcError(error: unknown, code: KcErrorCode, prefix: string): KcError {
  if (KcError.is(error)) return error;
  return new KcError(code, `${prefix}: ${describeError(error)}`, { cause: error });
}
