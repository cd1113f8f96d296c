import { ownerOf } from "../../checkpoints/lease-store.ts";
import type { Clock } from "../../clock.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { isReadable } from "./leased-shard.ts";
import type { View } from "./group-view.ts";

/**
 * Reports the group's metrics after each round. Only the worker with the lowest id reports unassigned shards, because
 * a sum over all workers would count each several times.
 */
export class GroupMetrics {
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  /** Since when each unassigned shard has had no worker, by the monotonic clock. */
  readonly #unassigned = new Map<string, number>();
  #view: View | undefined;
  #reportsUnassigned = false;

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#clock = clock;
  }

  update(view: View, held: number, isReporter: boolean): void {
    if (!this.#telemetry.counts) return;
    this.#telemetry.set("leases_held", held, {});
    this.#telemetry.set("workers", view.workers.length, {});
    if (view.shards !== this.#view?.shards || view.workers.length !== this.#view.workers.length) {
      this.#findUnassigned(view);
    }
    this.#view = view;
    if (isReporter) this.#reportUnassigned();
    else this.#forgetUnassigned();
  }

  /** Removes the gauges when this worker has left the group. */
  end(): void {
    this.#telemetry.remove("leases_held", {});
    this.#telemetry.remove("workers", {});
    this.#forgetUnassigned();
  }

  #findUnassigned({ workers, shards }: View): void {
    const living = new Set(workers.map(ownerOf));
    const now = this.#clock.monotonic();
    for (const [shardId, shard] of shards) {
      const isHeld = shard.owner !== undefined && living.has(shard.owner);
      if (isHeld || !isReadable(shard, shards)) this.#unassigned.delete(shardId);
      else if (!this.#unassigned.has(shardId)) this.#unassigned.set(shardId, now);
    }
    for (const shardId of this.#unassigned.keys()) {
      if (!shards.has(shardId)) this.#unassigned.delete(shardId);
    }
  }

  #reportUnassigned(): void {
    this.#reportsUnassigned = true;
    const oldest = Math.min(...this.#unassigned.values(), this.#clock.monotonic());
    this.#telemetry.set("unassigned_shards", this.#unassigned.size, {});
    this.#telemetry.set("unassigned_age", Math.round(this.#clock.monotonic() - oldest), {});
  }

  #forgetUnassigned(): void {
    if (!this.#reportsUnassigned) return;
    this.#reportsUnassigned = false;
    this.#telemetry.remove("unassigned_shards", {});
    this.#telemetry.remove("unassigned_age", {});
  }
}
