import { ownerOf } from "@kc/core";
import { broken, type LeaseMutant } from "../support/reference-lease-store.ts";
import { roundTrip } from "../support/reference-store.ts";

export const leaseRaceMutants: readonly LeaseMutant[] = [
  broken(
    "looks at a worker's row, claims, and puts the row later",
    "acquire.evict-race",
    "acquireLeases",
    async (acquire, { workers }, call) => {
      const [scope, { workerId, incarnation }, ids] = call;
      const row = workers.get(workerId);
      if (row?.incarnation !== incarnation) return [];
      const acquired = await acquire(scope, row, ids);
      await roundTrip();
      workers.set(workerId, row);
      return acquired;
    },
  ),
  broken(
    "counts a claim as a heartbeat",
    "acquire.evict-race",
    "acquireLeases",
    async (acquire, { workers }, call) => {
      const row = workers.get(call[1].workerId);
      if (row) workers.set(row.workerId, { ...row, counter: row.counter + 1 });
      return acquire(...call);
    },
  ),
  broken(
    "replaces a lineage by reading a row and putting it later",
    "shards.replace-race",
    "putShards",
    async (put, { shards }, [scope, rows]) => {
      const read = rows.map(({ shardId }) => ({ ...shards.get(shardId) }));
      await roundTrip();
      await put(scope, rows);
      for (const [index, { shardId }] of rows.entries()) {
        const { owner, epoch = 0 } = read[index]!;
        Object.assign(shards.get(shardId) ?? {}, { owner, epoch });
      }
    },
  ),
  broken(
    "looks for free shards first and removes them later",
    "shards.remove-race",
    "removeShards",
    async (_remove, { shards, workers }, [, ids]) => {
      const alive = new Set([...workers.values()].map(ownerOf));
      const free = ids.filter((id) => !alive.has(shards.get(id)?.owner ?? ""));
      await roundTrip();
      for (const id of free) shards.delete(id);
    },
  ),
  broken(
    "removes the checkpoints of free shards first and their rows later",
    "shards.remove-race",
    "removeShards",
    async (remove, { shards, workers }, [scope, ids]) => {
      const alive = new Set([...workers.values()].map(ownerOf));
      for (const id of ids) {
        const shard = shards.get(id);
        if (shard && !alive.has(shard.owner ?? "")) shard.checkpoint = undefined;
      }
      await roundTrip();
      return remove(scope, ids);
    },
  ),
  broken(
    "looks at the fences first and gives back later",
    "release.race",
    "releaseLeases",
    async (_release, { shards }, [, leases]) => {
      const held = leases.filter(({ shardId, fence }) => {
        const shard = shards.get(shardId);
        return shard?.owner === fence.owner && shard.epoch === fence.epoch;
      });
      await roundTrip();
      for (const { shardId } of held) shards.get(shardId)!.owner = undefined;
      return held.map(({ shardId }) => shardId);
    },
  ),
];
