import { ConfigError, StoreError, type Checkpoint, type WorkerIdentity } from "@kc/core";
import type { Limits } from "./inspection.ts";

/** A shard that a call is about, and the checkpoint to be written, if any. */
export interface Touched {
  readonly shardId: string;
  readonly checkpoint?: Checkpoint | undefined;
}

/**
 * Refuses values that the table would truncate, alter or confuse with others, which MySQL does silently outside of
 * strict mode.
 * @throws ConfigError for a name that no table can distinguish from others
 * @throws StoreError for a value that this table, such as one of the Go library's, cannot hold
 */
export function checkFit(limits: Limits, namespace: string, touched: readonly Touched[]): void {
  checkName("namespace", namespace, limits.namespaceLength, limits);
  for (const { shardId, checkpoint } of touched) {
    checkName("shardId", shardId, limits.shardIdLength, limits);
    if (checkpoint?.kind !== "position") continue;
    const { length } = checkpoint.sequenceNumber;
    if (length > limits.digits) {
      throw new StoreError(
        "STORE_FAILED",
        `MySQL: ${shardId}: a sequence number of ${length} digits, where Kinesis has 56; the column ` +
          `sequence_number holds ${limits.digits}`,
      );
    }
  }
}

const MAX_WORKER_LENGTH = 255;

/** @throws ConfigError; StoreError STORE_SCHEMA for a name that is too long for the workers' table */
export function checkWorker({ workerId, incarnation }: WorkerIdentity): void {
  checkName("workerId", workerId, MAX_WORKER_LENGTH, { unicode: true });
  checkName("incarnation", incarnation, MAX_WORKER_LENGTH, { unicode: true });
}

function checkName(
  what: string,
  name: string,
  longest: number,
  { unicode }: Pick<Limits, "unicode">,
): void {
  if (/ $|\p{Surrogate}/u.test(name)) {
    throw new ConfigError(
      what,
      `"${name}" ends with a space, or is not valid text: MySQL would alter it`,
    );
  }
  const { length } = Array.from(name);
  if (length > longest) {
    throw new StoreError(
      "STORE_SCHEMA",
      `MySQL: the ${what} "${name}" has ${length} characters, and the table's column ${longest}: ` +
        "widen it, or choose a shorter name",
    );
  }
  if (!unicode && /[^\p{ASCII}]/u.test(name)) {
    throw new StoreError(
      "STORE_SCHEMA",
      `MySQL: the ${what} "${name}" needs columns of the character set utf8mb4: ALTER TABLE … ` +
        "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, or choose another name",
    );
  }
}
