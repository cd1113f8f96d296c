import {
  checkpointAt,
  compareCheckpoints,
  LeaseLostError,
  ownerOf,
  StoreError,
  type LeaseStore,
} from "@kc/core";
import {
  broken,
  mutant,
  meddling,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";
import { roundTrip } from "../support/reference-store.ts";

export const claimMutants: readonly LeaseMutant[] = [
  mutant(
    "claims without a new epoch",
    ["acquire.free", "lease-fence.zombie"],
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        const { shards } = this.rows(call[0]);
        const owner = "worker#0";
        return (await super.acquireLeases(...call)).map((lease) => {
          const shard = shards.get(lease.shardId)!;
          shard.epoch = 1;
          shard.owner = owner;
          return { ...lease, fence: { epoch: 1, owner } };
        });
      }
    },
  ),
  mutant(
    "forgets the checkpoint of what is claimed",
    "acquire.free",
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        return (await super.acquireLeases(...call)).map((lease) => ({
          ...lease,
          checkpoint: undefined,
        }));
      }
    },
  ),
  meddling(
    "takes what the living hold",
    "acquire.live",
    "acquireLeases",
    ({ shards }, [, , ids]) =>
      ids.forEach((id) => {
        const shard = shards.get(id);
        if (shard) shard.owner = undefined;
      }),
    "before",
  ),
  mutant(
    "gives nothing where one of the shards is held",
    "acquire.live",
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        const { shards } = this.rows(call[0]);
        const held = call[2].some((id) => shards.get(id)?.owner !== undefined);
        return held ? [] : super.acquireLeases(...call);
      }
    },
  ),
  mutant(
    "passes over what this incarnation holds already",
    "acquire.again",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        const { shards } = this.rows(scope);
        const others = ids.filter((id) => shards.get(id)?.owner !== ownerOf(worker));
        return super.acquireLeases(scope, worker, others);
      }
    },
  ),
  mutant(
    "raises the epoch of what this incarnation holds already",
    "acquire.again",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        const { shards } = this.rows(scope);
        for (const id of ids) {
          const shard = shards.get(id);
          if (shard?.owner === ownerOf(worker)) shard.epoch += 1;
        }
        return super.acquireLeases(scope, worker, ids);
      }
    },
  ),
  mutant(
    "lets anybody claim",
    "acquire.dead",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        const member = { weight: 1, maxShards: undefined, ...worker };
        this.rows(scope).workers.delete(worker.workerId);
        await super.joinWorker(scope, member);
        return super.acquireLeases(scope, worker, ids);
      }
    },
  ),
  mutant(
    "makes rows for what it is asked to claim",
    "acquire.unknown",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        for (const id of ids) this.rows(scope).shard(id).lineage ??= "{}";
        return super.acquireLeases(scope, worker, ids);
      }
    },
  ),
  mutant(
    "claims nothing while one of the leases is locked",
    "acquire.locked-rows",
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        if (call[2].every((id) => !this.locked.has(id))) return super.acquireLeases(...call);
        throw new StoreError("STORE_UNAVAILABLE", "a lock's time is over", { retryable: true });
      }
    },
  ),
  mutant(
    "claims a lease that is locked",
    "acquire.locked-rows",
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        this.locked.clear();
        return super.acquireLeases(...call);
      }
    },
  ),
  mutant(
    "looks for free leases first and claims later",
    "acquire.race",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        const rows = this.rows(scope);
        const owner = ownerOf(worker);
        const living = new Set([...rows.workers.values()].map(ownerOf));
        const found = ids.flatMap((shardId) => {
          const shard = rows.shards.get(shardId);
          if (!shard || (shard.owner !== undefined && living.has(shard.owner))) return [];
          return [{ shardId, shard, checkpoint: shard.checkpoint, epoch: shard.epoch + 1 }];
        });
        await roundTrip();
        return found.map(({ shardId, shard, checkpoint, epoch }) => {
          Object.assign(shard, { owner, epoch });
          return { shardId, fence: { owner, epoch }, checkpoint };
        });
      }
    },
  ),
  mutant(
    "reads the checkpoint before it claims",
    "lease-fence.race",
    class extends ReferenceLeaseStore {
      override async acquireLeases(...call: Parameters<LeaseStore["acquireLeases"]>) {
        const before = await super.getCheckpoints(call[0]);
        await roundTrip();
        const acquired = await super.acquireLeases(...call);
        return acquired.map((lease) => ({ ...lease, checkpoint: before.get(lease.shardId) }));
      }
    },
  ),
  meddling(
    "gives back whatever is named",
    "release.fence",
    "releaseLeases",
    ({ shards }, [, leases]) => {
      for (const { shardId } of leases) shards.get(shardId)!.owner = undefined;
    },
  ),
  mutant(
    "gives back by the owner alone",
    "release.fence",
    class extends ReferenceLeaseStore {
      override async releaseLeases(...[scope, leases]: Parameters<LeaseStore["releaseLeases"]>) {
        const { shards } = this.rows(scope);
        return super.releaseLeases(
          scope,
          leases.map(({ shardId, fence }) => ({
            shardId,
            fence: { ...fence, epoch: shards.get(shardId)?.epoch ?? 0 },
          })),
        );
      }
    },
  ),
  mutant(
    "restarts the epochs with a release",
    "release.fence",
    class extends ReferenceLeaseStore {
      override async releaseLeases(...[scope, leases]: Parameters<LeaseStore["releaseLeases"]>) {
        const released = await super.releaseLeases(scope, leases);
        for (const id of released) this.rows(scope).shard(id).epoch = 0;
        return released;
      }
    },
  ),
  meddling(
    "opens a shard to writes without a fence once it is claimed",
    "lease-fence.held",
    "setCheckpoint",
    ({ shards }, [, { shardId, fence }]) => {
      const shard = shards.get(shardId);
      if (shard && fence === undefined) shard.owner = undefined;
    },
    "before",
  ),
  meddling(
    "leaves its owner the lease of a shard that was reset by force",
    "lease-fence.reset",
    "resetCheckpoint",
    ({ shards }, [, shardId, , options]) => {
      const shard = shards.get(shardId);
      if (shard && options?.force) Object.assign(shard, { owner: "worker-a#i1", epoch: 1 });
    },
  ),
  broken(
    "takes an incarnation for alive whose id lives",
    "acquire.reborn",
    "acquireLeases",
    async (acquire, { workers, shards }, [scope, worker, ids]) => {
      const lives = (id: string): boolean =>
        workers.has(shards.get(id)?.owner?.split("#")[0] ?? "");
      return acquire(
        scope,
        worker,
        ids.filter((id) => !lives(id)),
      );
    },
  ),
  broken(
    "keeps a dead incarnation's shards where its id lives",
    "acquire.reborn",
    "removeShards",
    async (remove, { workers, shards }, [scope, ids]) => {
      const lives = (id: string): boolean =>
        workers.has(shards.get(id)?.owner?.split("#")[0] ?? "");
      return remove(
        scope,
        ids.filter((id) => !lives(id)),
      );
    },
  ),
  broken(
    "refuses each claim of a shard that ended",
    "acquire.free",
    "acquireLeases",
    async (acquire, { shards }, [scope, worker, ids]) =>
      acquire(
        scope,
        worker,
        ids.filter((id) => shards.get(id)?.checkpoint?.kind !== "shard-end"),
      ),
  ),
  broken(
    "forgets the sub-sequence number of what is claimed",
    "acquire.free",
    "acquireLeases",
    async (acquire, _rows, call) =>
      (await acquire(...call)).map((lease) => {
        const { checkpoint } = lease;
        if (checkpoint?.kind !== "position") return lease;
        return {
          ...lease,
          checkpoint: checkpointAt({ sequenceNumber: checkpoint.sequenceNumber }),
        };
      }),
  ),
  meddling(
    "forgets the checkpoint of what is given back",
    "acquire.free",
    "releaseLeases",
    ({ shards }, [, leases]) => {
      for (const { shardId } of leases) shards.get(shardId)!.checkpoint = undefined;
    },
  ),
  broken(
    "refuses an evicted worker although no other has claimed",
    "lease-fence.unclaimed",
    "setCheckpoint",
    async (set, { workers }, [scope, write]) => {
      const alive = [...workers.values()].some((row) => ownerOf(row) === write.fence?.owner);
      if (write.fence && !alive) throw new LeaseLostError(write.shardId, "its worker is dead");
      return set(scope, write);
    },
  ),
  broken(
    "refuses an evicted worker in bulk although no other has claimed",
    "lease-fence.unclaimed",
    "setCheckpoints",
    async (set, { workers }, [scope, writes]) => {
      const alive = new Set([...workers.values()].map(ownerOf));
      return (await set(scope, writes)).map((answer, index) => {
        const { fence } = writes[index]!;
        return fence && !alive.has(fence.owner) ? ({ outcome: "lease-lost" } as const) : answer;
      });
    },
  ),
  broken(
    "takes back from the living alone",
    "lease-fence.unclaimed",
    "releaseLeases",
    async (release, { workers }, [scope, leases]) => {
      const alive = new Set([...workers.values()].map(ownerOf));
      return release(
        scope,
        leases.filter(({ fence }) => alive.has(fence.owner)),
      );
    },
  ),
  meddling(
    "lets anybody write what a dead worker held",
    "lease-fence.unclaimed",
    "setCheckpoint",
    ({ shards, workers }, [, { shardId, fence }]) => {
      const shard = shards.get(shardId);
      const alive = [...workers.values()].some((row) => ownerOf(row) === shard?.owner);
      if (shard && fence === undefined && !alive) shard.owner = undefined;
    },
    "before",
  ),
  ...(["same", "behind"] as const).map((outcome) =>
    broken(
      `answers '${outcome}' in bulk where the fence is lost`,
      "lease-fence.covered",
      "setCheckpoints",
      async (set, { shards }, [scope, writes]) =>
        (await set(scope, writes)).map((answer, index) => {
          const { shardId, checkpoint } = writes[index]!;
          const stored = shards.get(shardId)?.checkpoint;
          if (stored === undefined) return answer;
          const order = compareCheckpoints(checkpoint, stored);
          const hidden = outcome === "same" ? order === 0 : order < 0;
          return hidden ? { outcome, stored } : answer;
        }),
    ),
  ),
  broken(
    "looks at the fence of a single write first and writes later",
    "lease-fence.race",
    "setCheckpoint",
    async (set, { shards }, [scope, write]) => {
      const { owner, epoch = 0 } = shards.get(write.shardId) ?? {};
      if (write.fence?.owner !== owner || write.fence?.epoch !== epoch) return set(scope, write);
      await roundTrip();
      const shard = shards.get(write.shardId)!;
      const now =
        shard.owner === undefined ? undefined : { owner: shard.owner, epoch: shard.epoch };
      return set(scope, { ...write, ...(now && { fence: now }) });
    },
  ),
  meddling(
    "removes the lease's row of a checkpoint that is reset to none",
    "lease-fence.reset",
    "resetCheckpoint",
    ({ shards }, [, shardId, to]) => {
      if (to === undefined) shards.delete(shardId);
    },
  ),
  meddling(
    "makes a lease's row for a shard that is reset",
    "lease-fence.reset",
    "resetCheckpoint",
    ({ shards }, [, shardId]) => void (shards.get(shardId)!.lineage ??= "{}"),
  ),
];
