/** The protocol's durations, in milliseconds. */
export interface LeaseTiming {
  /** How long a worker may be silent before the others evict it. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** How much earlier than the others a worker considers itself dead: clocks differ in speed. */
  readonly marginMs: number;
  /** A worker whose heartbeats were not acknowledged for so long evicts no other. */
  readonly longestGapMs: number;
  /** One call to the store. A heartbeat that hangs must leave room for others before the deadline. */
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

/** Changes that come together are acted on together. */
export const GATHER_MS = 50;
/** A first worker waits for those that are started with it, so that shards need not move at once. */
export const FIRST_GATHER_MS = 2000;
/**
 * The leases are listed every so many rounds, whether the revision has changed or not. It follows every
 * change, at the latest with a heartbeat or an eviction: this is a safety net.
 */
export const ROUNDS_BETWEEN_LISTINGS = 300;
/** Where the rows lack something, each worker waits so long for the one before it to list the shards. */
export const LISTER_PATIENCE_MS = 10_000;
