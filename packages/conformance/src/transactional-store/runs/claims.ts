import type { Fence, Group, GroupHost, Shard, StoreScope } from "@kc/core";
import type { TransactionalStoreHarness } from "../harness.ts";
import { Deferred } from "./deferred.ts";

/** The shards that one worker claims on request. It is not informed about other workers' claims. */
export class ClaimedShards implements Group {
  readonly #reading = new Set<string>();
  readonly #ready = new Deferred<{ host: GroupHost; shards: readonly Shard[] }>();

  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    this.#ready.resolve({ host, shards: await host.listShards(signal) });
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  }

  isReading(shardId: string): boolean {
    return this.#reading.has(shardId);
  }

  /** Reads the shard from its stored checkpoint. */
  take(shardId: string, fence: Fence): void {
    this.#reading.add(shardId);
    void this.#read(shardId, fence).finally(() => this.#reading.delete(shardId));
  }

  async #read(shardId: string, fence: Fence): Promise<void> {
    const { host, shards } = await this.#ready.promise;
    if (host.over.aborted) return;
    const found = await host.loadCheckpoints(host.over).catch(() => undefined);
    if (found === undefined) return; // The scan has ended.
    const shard = shards.find((each) => each.shardId === shardId)!;
    await host.read({
      shardId,
      checkpoint: found.get(shardId),
      presentAtStart: true,
      afterParent: false,
      hashKeyRange: () => shard.hashKeyRange,
      fence,
    });
  }
}

interface Claimant {
  readonly name: string;
  readonly group: ClaimedShards;
}

/** The last claimer of each shard. Claims are made one after another. */
export class Leases<Worker extends Claimant> {
  readonly #harness: TransactionalStoreHarness;
  readonly #scope: StoreScope;
  readonly #holders = new Map<string, { readonly worker: Worker; readonly fence: Fence }>();
  #last: Promise<void> = Promise.resolve();

  constructor(harness: TransactionalStoreHarness, scope: StoreScope) {
    this.#harness = harness;
    this.#scope = scope;
  }

  holder(shardId: string): Worker | undefined {
    return this.#holders.get(shardId)?.worker;
  }

  fence(shardId: string): Fence | undefined {
    return this.#holders.get(shardId)?.fence;
  }

  /** A worker that still reads the shard, although it lost it, does not claim it. */
  claim(worker: Worker, shardId: string): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (worker.group.isReading(shardId)) return;
      const epoch = (this.fence(shardId)?.epoch ?? 0) + 1;
      const fence = { epoch, owner: `${worker.name}#${epoch}` };
      await this.#harness.grantLease!(this.#scope, shardId, fence);
      this.#holders.set(shardId, { worker, fence });
      worker.group.take(shardId, fence);
    });
    return this.#last;
  }
}
