/** The durations of the lease protocol, in milliseconds. */
export interface LeaseTiming {
  /** How long a worker may be silent before other workers evict it. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** How much earlier than others a worker considers itself dead, because clocks differ in speed. */
  readonly marginMs: number;
  /** A worker without an acknowledged heartbeat for this long does not evict others. */
  readonly longestGapMs: number;
  /** Timeout of a store call. Short enough that a heartbeat that hangs can be repeated before the deadline. */
  readonly callTimeoutMs: number;
}

export function leaseTiming(leaseMs: number, heartbeatMs: number): LeaseTiming {
  return {
    leaseMs,
    heartbeatMs,
    marginMs: leaseMs / 10,
    longestGapMs: leaseMs / 2,
    callTimeoutMs: leaseMs / 4,
  };
}

/** Minimum delay from a hint to its round, so that changes in quick succession are handled together. */
export const GATHER_MS = 50;
/** How long a first worker waits for others that start with it, so that shards need not move right after the start. */
export const FIRST_GATHER_MS = 2000;
/**
 * The leases are read every this many rounds, even if the revision has not changed. This is a safety net: the revision
 * changes with every change, at the latest with a heartbeat or an eviction.
 */
export const ROUNDS_BETWEEN_LISTINGS = 300;
/** While the rows lack something, how long each worker waits for the one before it to list the shards. */
export const LISTER_PATIENCE_MS = 10_000;
