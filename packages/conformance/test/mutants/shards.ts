import { SHARD_END, type LeaseStore } from "@kc/core";
import {
  asTheyStand,
  broken,
  mutant,
  meddling,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";
import { roundTrip } from "../support/reference-store.ts";

/** Replaces a lineage that is the same by another rule. */
const comparing = (name: string, simplify: (lineage: string) => string): LeaseMutant =>
  broken(name, "shards.lineage", "putShards", async (put, { shards }, [scope, rows]) => {
    const alike = rows.map((row) => {
      const standing = shards.get(row.shardId)?.lineage;
      if (standing === undefined || row.replaces === undefined) return row;
      return simplify(standing) === simplify(row.replaces) ? { ...row, replaces: standing } : row;
    });
    return put(scope, alike);
  });

export const shardMutants: readonly LeaseMutant[] = [
  meddling("makes rows held", "shards.put", "putShards", ({ shards }, [, rows]) => {
    for (const { shardId } of rows) shards.get(shardId)!.owner ??= "nobody#1";
  }),
  meddling("frees a shard that is put again", "shards.put", "putShards", ({ shards }, [, rows]) => {
    for (const { shardId } of rows) shards.get(shardId)!.owner = undefined;
  }),
  mutant(
    "replaces the lineage of rows that are there",
    "shards.put",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        await super.putShards(scope, asTheyStand(this.rows(scope), rows));
      }
    },
  ),
  mutant(
    "keeps the first lineage for ever",
    "shards.replace",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        const { shards } = this.rows(scope);
        const unknown = rows.filter(({ shardId }) => shards.get(shardId)?.lineage === undefined);
        await super.putShards(scope, unknown);
      }
    },
  ),
  mutant(
    "replaces whatever lineage stands",
    "shards.replace",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        const { shards } = this.rows(scope);
        const named = rows.filter(
          ({ shardId, replaces }) => replaces !== undefined && shards.has(shardId),
        );
        const others = rows.filter((row) => !named.includes(row));
        await super.putShards(scope, [...asTheyStand(this.rows(scope), named), ...others]);
      }
    },
  ),
  mutant(
    "makes the row of a shard whose lineage is to be replaced",
    "shards.replace",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        await super.putShards(scope, rows);
        await super.putShards(
          scope,
          rows.map(({ shardId, lineage }) => ({ shardId, lineage })),
        );
      }
    },
  ),
  mutant(
    "takes an empty lineage for none",
    "shards.replace",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        await super.putShards(
          scope,
          rows.map(({ replaces, ...row }) => (replaces ? { ...row, replaces } : row)),
        );
      }
    },
  ),
  mutant(
    "looks for rows first and puts them later",
    "shards.put-race",
    class extends ReferenceLeaseStore {
      override async putShards(...[scope, rows]: Parameters<LeaseStore["putShards"]>) {
        const { shards } = this.rows(scope);
        const found = rows.filter(
          ({ shardId, replaces }) => shards.get(shardId)?.lineage === replaces,
        );
        await roundTrip();
        await super.putShards(scope, asTheyStand(this.rows(scope), found));
      }
    },
  ),
  mutant(
    "lists leases without their checkpoints",
    "shards.checkpoint",
    class extends ReferenceLeaseStore {
      override async listLeases(...call: Parameters<LeaseStore["listLeases"]>) {
        const { revision, leases } = await super.listLeases(...call);
        return { revision, leases: leases.map((row) => ({ ...row, checkpoint: undefined })) };
      }
    },
  ),
  mutant(
    "takes each checkpoint for a lease",
    "shards.checkpoint",
    class extends ReferenceLeaseStore {
      override async listLeases(...[scope]: Parameters<LeaseStore["listLeases"]>) {
        for (const shard of this.rows(scope).shards.values()) shard.lineage ??= "{}";
        return super.listLeases(scope);
      }
    },
  ),
  meddling("removes held shards", ["shards.remove"], "removeShards", ({ shards }, [, ids]) =>
    ids.forEach((id) => shards.delete(id)),
  ),
  mutant(
    "leaves the checkpoints of shards that are removed",
    "shards.remove",
    class extends ReferenceLeaseStore {
      override async removeShards(...[scope, ids]: Parameters<LeaseStore["removeShards"]>) {
        const { shards } = this.rows(scope);
        const kept = ids.map((id) => [id, shards.get(id)?.checkpoint] as const);
        await super.removeShards(scope, ids);
        for (const [id, checkpoint] of kept) {
          if (!shards.has(id) && checkpoint) this.rows(scope).shard(id).checkpoint = checkpoint;
        }
      }
    },
  ),
  mutant(
    "keeps a dead owner's shards",
    "shards.remove",
    class extends ReferenceLeaseStore {
      override async removeShards(...[scope, ids]: Parameters<LeaseStore["removeShards"]>) {
        const { shards } = this.rows(scope);
        await super.removeShards(
          scope,
          ids.filter((id) => shards.get(id)?.owner === undefined),
        );
      }
    },
  ),
  meddling(
    "restarts the epoch of a free row that is put again",
    "shards.put",
    "putShards",
    ({ shards }, [, rows]) => {
      for (const { shardId } of rows) {
        const shard = shards.get(shardId);
        if (shard && shard.owner === undefined) shard.epoch = 0;
      }
    },
  ),
  meddling("forgets shards that are not put", "shards.put", "putShards", ({ shards }, [, rows]) => {
    const put = new Set(rows.map(({ shardId }) => shardId));
    for (const shardId of shards.keys()) if (!put.has(shardId)) shards.delete(shardId);
  }),
  broken(
    "takes rows for checkpoints",
    "shards.put",
    "getCheckpoints",
    async (get, rows, [scope]) => {
      const found = new Map(await get(scope));
      for (const id of rows.shards.keys()) if (!found.has(id)) found.set(id, SHARD_END);
      return found;
    },
  ),
  meddling(
    "forgets the checkpoint of a shard whose lineage is replaced",
    "shards.replace",
    "putShards",
    ({ shards }, [, rows]) => {
      for (const { shardId, replaces } of rows) {
        const shard = shards.get(shardId);
        if (shard && replaces !== undefined) shard.checkpoint = undefined;
      }
    },
  ),
  broken(
    "claims all where none is named",
    "shards.none",
    "acquireLeases",
    async (acquire, rows, call) => {
      const [scope, worker, ids] = call;
      return acquire(scope, worker, ids.length === 0 ? [...rows.shards.keys()] : ids);
    },
  ),
  broken(
    "gives all back where none is named",
    "shards.none",
    "releaseLeases",
    async (release, rows, call) => {
      if (call[1].length === 0) rows.shards.forEach((shard) => void (shard.owner = undefined));
      return release(...call);
    },
  ),
  broken(
    "removes all where none is named",
    "shards.none",
    "removeShards",
    async (remove, rows, call) => {
      const [scope, ids] = call;
      return remove(scope, ids.length === 0 ? [...rows.shards.keys()] : ids);
    },
  ),
  broken(
    "cuts lineages at 255 characters",
    "shards.lineage",
    "listLeases",
    async (list, _rows, [scope]) => {
      const { revision, leases } = await list(scope);
      return {
        revision,
        leases: leases.map((row) => ({ ...row, lineage: row.lineage.slice(0, 255) })),
      };
    },
  ),
  comparing("compares the first 255 characters of lineages", (text) => text.slice(0, 255)),
  comparing("compares lineages whatever their case", (text) => text.toLowerCase()),
  comparing("compares lineages without spaces at their ends", (text) => text.trimEnd()),
  comparing("compares lineages without their accents", (text) =>
    text.normalize("NFD").replace(/\p{M}/gu, ""),
  ),
  broken(
    "leaves a checkpoint that has no lease's row",
    "shards.remove-checkpoint",
    "removeShards",
    async (remove, { shards }, [scope, ids]) =>
      remove(
        scope,
        ids.filter((id) => shards.get(id)?.lineage !== undefined),
      ),
  ),
  broken(
    "lets any fence write where nothing stands",
    "shards.remove-fence",
    "setCheckpoints",
    async (set, { shards }, [scope, writes]) =>
      set(
        scope,
        writes.map((write) => {
          const { fence: _, ...free } = write;
          return shards.has(write.shardId) ? write : free;
        }),
      ),
  ),
];
