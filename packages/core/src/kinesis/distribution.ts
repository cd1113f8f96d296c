import type { StreamDescriptionSummary } from "@aws-sdk/client-kinesis";
import type { Clock } from "../clock.ts";

/** The maximum age of a description, in milliseconds: a stream's strategy may change at any time. */
const MAX_AGE_MS = 20_000;
/** The minimum interval between two descriptions, in milliseconds. */
const REFRESH_INTERVAL_MS = 10_000;

/**
 * Whether partition keys decide the shard of a record. They do not on streams with
 * `RecordDistributionStrategy: AUTO`. If the last description is too old, the answer is unknown, and a
 * refresh is requested.
 */
export class Distribution {
  readonly #clock: Clock;
  #byKey = false;
  #describedAt = -Infinity;
  /** When the stream was described, or a caller claimed to do so. */
  #claimedAt = -Infinity;
  #refreshRequested = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns true, once per interval, if a refresh is requested: the caller must describe the stream again. */
  claimRefresh(): boolean {
    const now = this.#clock.monotonic();
    if (!this.#refreshRequested || now - this.#claimedAt < REFRESH_INTERVAL_MS) return false;
    this.#claimedAt = now;
    this.#refreshRequested = false;
    return true;
  }

  /**
   * Called when the stream was described. Provisioned streams, and some emulators, report no strategy. Older versions
   * of the SDK drop it from the reply, so for an on-demand stream without a strategy, the answer stays unknown.
   */
  described(
    summary: Pick<StreamDescriptionSummary, "RecordDistributionStrategy" | "StreamModeDetails">,
  ): void {
    const isOnDemand = summary.StreamModeDetails?.StreamMode === "ON_DEMAND";
    const unreported = isOnDemand ? undefined : "USER_PARTITION_KEY";
    const strategy = summary.RecordDistributionStrategy ?? unreported;
    this.#byKey = strategy === "USER_PARTITION_KEY";
    this.#describedAt = this.#claimedAt = this.#clock.monotonic();
  }

  /** Returns true if keys are known to decide. If they do, or it is unknown, requests a refresh for the next page. */
  isByKey(): boolean {
    const isOld = this.#clock.monotonic() - this.#describedAt > MAX_AGE_MS;
    if (isOld || this.#byKey) this.#refreshRequested = true;
    return this.#byKey && !isOld;
  }
}
