import {
  MemoryStore,
  MemoryStoreData,
  ownerOf,
  StoreError,
  type LeaseStore,
  type MemoryApplication,
  type ShardPut,
  type StoreScope,
} from "@kc/core";
import type { LeaseStoreHarness } from "../../src/index.ts";
import {
  LEASE_OPERATION_NAMES,
  type LeaseOperationName,
} from "../../src/lease-store/operations.ts";
import { roundTrip } from "../support/reference-store.ts";

export interface LeaseMutant {
  readonly name: string;
  readonly caughtBy: readonly string[];
  readonly makeHarness: () => Promise<LeaseStoreHarness>;
}

/** A MemoryStore behind a connection that can break, and that can see its own rows. */
export class ReferenceLeaseStore extends MemoryStore {
  readonly data: MemoryStoreData;

  constructor({ data }: { readonly data: MemoryStoreData }) {
    super({ data });
    this.data = data;
  }

  rows(scope: StoreScope): MemoryApplication {
    return this.data.application(scope);
  }
}

type StoreClass = new (options: { readonly data: MemoryStoreData }) => ReferenceLeaseStore;

export async function leaseHarness(
  Class: StoreClass = ReferenceLeaseStore,
  /** Calls that an outage does not reach. */
  unaffected: readonly LeaseOperationName[] = [],
): Promise<LeaseStoreHarness> {
  const data = new MemoryStoreData();
  let reachable = true;
  const overNetwork = (store: LeaseStore): LeaseStore =>
    new Proxy(store, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return (...parameters: unknown[]) => {
          if (reachable || unaffected.includes(name as LeaseOperationName)) {
            return member.apply(target, parameters);
          }
          const error = new StoreError("STORE_UNAVAILABLE", "out of reach", { retryable: true });
          return Promise.reject(error);
        };
      },
    });
  return {
    open: async () => overNetwork(new Class({ data })),
    breakConnection: async () => void (reachable = false),
    restore: async () => void (reachable = true),
    async [Symbol.asyncDispose]() {},
  };
}

function mutant(
  name: string,
  caughtBy: string | readonly string[],
  Class: StoreClass,
): LeaseMutant {
  return { name, caughtBy: [caughtBy].flat(), makeHarness: () => leaseHarness(Class) };
}

/** A store that changes its rows after it has answered a call, or before it begins one. */
function meddling<Name extends keyof LeaseStore>(
  name: string,
  caughtBy: string | readonly string[],
  operation: Name,
  meddle: (
    rows: MemoryApplication,
    parameters: Parameters<Extract<LeaseStore[Name], (...p: never[]) => unknown>>,
  ) => void,
  when: "before" | "after" = "after",
): LeaseMutant {
  return {
    name,
    caughtBy: [caughtBy].flat(),
    makeHarness: () =>
      leaseHarness(
        class extends ReferenceLeaseStore {
          constructor(options: { readonly data: MemoryStoreData }) {
            super(options);
            const original = (this as never)[operation] as (...p: unknown[]) => Promise<unknown>;
            const change = (parameters: unknown[]): void =>
              meddle(this.rows(parameters[0] as StoreScope), parameters as never);
            Object.assign(this, {
              [operation]: async (...parameters: unknown[]) => {
                if (when === "before") change(parameters);
                const answer = await original.apply(this, parameters);
                if (when === "after") change(parameters);
                return answer;
              },
            });
          }
        },
      ),
  };
}

/** So put that they replace whatever stands. */
function asTheyStand(
  { shards }: MemoryApplication,
  rows: readonly ShardPut[],
): readonly ShardPut[] {
  return rows.map(({ shardId, lineage }) => {
    const replaces = shards.get(shardId)?.lineage;
    return { shardId, lineage, ...(replaces !== undefined && { replaces }) };
  });
}

const quiet = (name: string, operation: LeaseOperationName | "resetCheckpoint"): LeaseMutant =>
  mutant(
    name,
    "revision.grows",
    class extends ReferenceLeaseStore {
      constructor(options: { readonly data: MemoryStoreData }) {
        super(options);
        const original = this[operation] as unknown as (...p: unknown[]) => Promise<unknown>;
        Object.assign(this, {
          [operation]: async (...parameters: unknown[]) => {
            const rows = this.rows(parameters[0] as StoreScope);
            const { revision } = rows;
            const answer = await original.apply(this, parameters);
            rows.revision = revision;
            return answer;
          },
        });
      }
    },
  );

export const workerMutants: readonly LeaseMutant[] = [
  meddling("forgets a worker's weight", "worker.join", "joinWorker", ({ workers }, [, worker]) => {
    const row = workers.get(worker.workerId);
    if (row) workers.set(worker.workerId, { ...row, weight: 1 });
  }),
  mutant(
    "counts from 1",
    "worker.join",
    class extends ReferenceLeaseStore {
      override async joinWorker(...call: Parameters<LeaseStore["joinWorker"]>) {
        const answer = await super.joinWorker(...call);
        await super.heartbeat(call[0], call[1]);
        return answer;
      }
    },
  ),
  meddling(
    "starts the counter anew when a join is repeated",
    "worker.join-again",
    "joinWorker",
    ({ workers }, [, worker]) => {
      const row = workers.get(worker.workerId);
      if (row?.incarnation === worker.incarnation)
        workers.set(row.workerId, { ...row, counter: 0 });
    },
  ),
  meddling(
    "lets the second of an id take the first one's place",
    "worker.duplicate",
    "joinWorker",
    ({ workers }, [, worker]) => void workers.delete(worker.workerId),
    "before",
  ),
  meddling(
    "beats for everybody",
    "worker.heartbeat",
    "heartbeat",
    ({ workers }, [, { workerId }]) => {
      for (const row of workers.values()) {
        if (row.workerId !== workerId)
          workers.set(row.workerId, { ...row, counter: row.counter + 1 });
      }
    },
  ),
  meddling("moves the revision with a heartbeat", "worker.heartbeat", "heartbeat", (rows) => {
    rows.revision += 1;
  }),
  mutant(
    "takes a heartbeat by the worker's id alone",
    "worker.unknown",
    class extends ReferenceLeaseStore {
      override async heartbeat(...[scope, worker, options]: Parameters<LeaseStore["heartbeat"]>) {
        const row = this.rows(scope).workers.get(worker.workerId);
        return super.heartbeat(scope, row ?? worker, options);
      }
    },
  ),
  mutant(
    "enters whoever beats",
    "worker.unknown",
    class extends ReferenceLeaseStore {
      override async heartbeat(...[scope, worker, options]: Parameters<LeaseStore["heartbeat"]>) {
        await super.joinWorker(scope, { weight: 1, maxShards: undefined, ...worker });
        return super.heartbeat(scope, worker, options);
      }
    },
  ),
  meddling(
    "lets one incarnation end another",
    "worker.leave",
    "leaveWorker",
    ({ workers }, [, { workerId }]) => void workers.delete(workerId),
  ),
  mutant(
    "keeps who leaves",
    "worker.leave",
    class extends ReferenceLeaseStore {
      override async leaveWorker() {}
    },
  ),
  mutant(
    "answers an eviction and does nothing",
    "evict.still",
    class extends ReferenceLeaseStore {
      override async evictWorker() {
        return "evicted" as const;
      }
    },
  ),
  meddling("raises the epoch with the eviction", "evict.still", "evictWorker", ({ shards }) =>
    shards.forEach((shard) => void (shard.epoch += 1)),
  ),
  mutant(
    "evicts whoever is named",
    "evict.moved",
    class extends ReferenceLeaseStore {
      override async evictWorker(...[scope, worker]: Parameters<LeaseStore["evictWorker"]>) {
        const row = this.rows(scope).workers.get(worker.workerId);
        return super.evictWorker(scope, { ...worker, counter: row?.counter ?? 0 });
      }
    },
  ),
  mutant(
    "evicts by the worker's id alone",
    "evict.gone",
    class extends ReferenceLeaseStore {
      override async evictWorker(...[scope, worker]: Parameters<LeaseStore["evictWorker"]>) {
        const row = this.rows(scope).workers.get(worker.workerId);
        return super.evictWorker(scope, {
          ...worker,
          ...(row && { incarnation: row.incarnation }),
        });
      }
    },
  ),
  mutant(
    "reads the counter first and evicts later",
    "evict.race",
    class extends ReferenceLeaseStore {
      override async evictWorker(...[scope, worker]: Parameters<LeaseStore["evictWorker"]>) {
        const row = this.rows(scope).workers.get(worker.workerId);
        if (row?.incarnation !== worker.incarnation) return "gone" as const;
        if (row.counter !== worker.counter) return "moved" as const;
        await roundTrip();
        await super.leaveWorker(scope, worker);
        return "evicted" as const;
      }
    },
  ),
];

export const leaseMutants: readonly LeaseMutant[] = [
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
  mutant(
    "claims a hundred shards at the most",
    "acquire.many",
    class extends ReferenceLeaseStore {
      override async acquireLeases(
        ...[scope, worker, ids]: Parameters<LeaseStore["acquireLeases"]>
      ) {
        return super.acquireLeases(scope, worker, ids.slice(0, 100));
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
    "begins the epochs anew with a release",
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
  quiet("joins in silence", "joinWorker"),
  quiet("claims in silence", "acquireLeases"),
  quiet("puts shards in silence", "putShards"),
  quiet("gives back in silence", "releaseLeases"),
  quiet("removes in silence", "removeShards"),
  quiet("evicts in silence", "evictWorker"),
  quiet("resets in silence", "resetCheckpoint"),
  mutant(
    "joins the two names of a scope",
    "lease-scope.apart",
    class extends ReferenceLeaseStore {
      override async listWorkers(...[scope, options]: Parameters<LeaseStore["listWorkers"]>) {
        return super.listWorkers({ ...scope, application: "billing" }, options);
      }
    },
  ),
  mutant(
    "watches and says nothing",
    "watch.hints",
    class extends ReferenceLeaseStore {
      #heard = 0;
      override watch(...[scope, onHint, signal]: Parameters<MemoryStore["watch"]>) {
        // The knocking is heard, what comes after it is not.
        return super.watch(scope, () => (this.#heard++ < 2 ? onHint() : undefined), signal);
      }
    },
  ),
];

export const leaseLifecycleMutants: readonly LeaseMutant[] = LEASE_OPERATION_NAMES.flatMap(
  (name) => [
    {
      name: `lets ${name} through after dispose`,
      caughtBy: [`lease-closed.${name}`],
      makeHarness: () =>
        leaseHarness(
          class extends ReferenceLeaseStore {
            override async [Symbol.asyncDispose]() {}
          },
        ),
    },
    {
      name: `does not look at the signal in ${name}`,
      caughtBy: [`lease-abort.${name}`],
      makeHarness: () =>
        leaseHarness(
          class extends ReferenceLeaseStore {
            constructor(options: { readonly data: MemoryStoreData }) {
              super(options);
              const original = this[name] as (...p: unknown[]) => Promise<unknown>;
              Object.assign(this, {
                [name]: (...parameters: unknown[]) =>
                  original.apply(this, parameters.slice(0, original.length - 1)),
              });
            }
          },
        ),
    },
    {
      name: `answers ${name} in an outage`,
      caughtBy: [`lease-outage.${name}`],
      makeHarness: () => leaseHarness(ReferenceLeaseStore, [name]),
    },
  ],
);
