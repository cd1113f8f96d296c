import type { Fence } from "../../checkpoints/store.ts";
import { leaseChannel, type LeaseMessage } from "../../telemetry/channels.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";

export interface LeaseAndFence {
  readonly shardId: string;
  readonly fence: Fence;
}

/** Reports each lease that this worker acquires, releases or loses, to log, counter and channel. */
export class LeaseReporter {
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** @param silentForMs time since the last sign of life of the dead owner; undefined = not taken over */
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

  /** The lease was released. @param reason the outcome of its reading */
  released(lease: LeaseAndFence, reason: string): void {
    const { shardId } = lease;
    this.#telemetry.info("a lease was released", { shardId, reason });
    if (reason === "lost") return this.lost(lease);
    this.#telemetry.add("leases_released", 1, { reason });
    if (reason === "forced") this.#telemetry.add("handoffs_forced", 1, { shardId });
    this.#publish(lease, "released", reason);
  }

  /** The lease was lost before it was released. */
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
