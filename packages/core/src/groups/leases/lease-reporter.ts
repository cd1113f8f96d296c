import type { Fence } from "../../checkpoints/store.ts";
import { leaseChannel, type LeaseMessage } from "../../telemetry/channels.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";

export interface LeaseAndFence {
  readonly shardId: string;
  readonly fence: Fence;
}

/** Reports each lease that this worker gets or loses to log, counter and channel. */
export class LeaseReporter {
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** `silentForMs` = since the last sign of life of its owner, whom it was taken over from. */
  acquired(
    lease: LeaseAndFence,
    { reason, why }: { readonly reason: string; readonly why: string },
    silentForMs: number | undefined,
  ): void {
    const { shardId, fence } = lease;
    this.#telemetry.info("a lease was acquired", { shardId, epoch: fence.epoch, why });
    this.#telemetry.add("leases_acquired", 1, { reason });
    if (silentForMs !== undefined) this.#telemetry.record("takeover_duration", silentForMs, {});
    this.#publish(lease, "acquired", reason);
  }

  /** Its reading ended so, and it was given back. */
  givenBack(lease: LeaseAndFence, reason: string): void {
    const { shardId } = lease;
    this.#telemetry.info("a lease was given back", { shardId, reason });
    if (reason === "lost") return this.lost(lease);
    this.#telemetry.add("leases_released", 1, { reason });
    if (reason === "forced") this.#telemetry.add("handoffs_forced", 1, { shardId });
    this.#publish(lease, "released", reason);
  }

  /** It was gone before it was given back. */
  lost(lease: LeaseAndFence): void {
    this.#telemetry.add("leases_lost", 1, { shardId: lease.shardId });
    this.#publish(lease, "lost", "lost");
  }

  #publish(
    { shardId, fence }: LeaseAndFence,
    change: LeaseMessage["change"],
    reason: string,
  ): void {
    if (!leaseChannel.hasSubscribers) return;
    const { owner, epoch } = fence;
    const message: LeaseMessage = {
      ...this.#telemetry.source,
      shardId,
      change,
      reason,
      owner,
      epoch,
    };
    leaseChannel.publish(message);
  }
}
