import { ownerOf, type LeaseStore } from "@kc/core";
import {
  broken,
  mutant,
  meddling,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";
import { roundTrip } from "../support/reference-store.ts";

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
    "restarts the counter when a join is repeated",
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
    "enters every worker that beats",
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
    "evicts every worker that is named",
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
  broken(
    "keeps weights in four bytes",
    "worker.join",
    "listWorkers",
    async (list, _rows, [scope]) => {
      const { revision, workers } = await list(scope);
      return {
        revision,
        workers: workers.map((row) => ({ ...row, weight: Math.fround(row.weight) })),
      };
    },
  ),
  broken(
    "takes ids for one whose letters differ in case alone",
    "worker.names",
    "joinWorker",
    async (join, { workers }, [scope, worker]) => {
      const id = worker.workerId.toLowerCase();
      const other = [...workers.values()].find((row) => row.workerId.toLowerCase() === id);
      if (other === undefined) return join(scope, worker);
      return { outcome: "duplicate" as const, incarnation: other.incarnation };
    },
  ),
  broken(
    "compares the beginnings of incarnations",
    "worker.names",
    "heartbeat",
    async (heartbeat, { workers }, [scope, worker]) => {
      const row = workers.get(worker.workerId);
      return heartbeat(scope, row?.incarnation.startsWith(worker.incarnation) ? row : worker);
    },
  ),
  broken(
    "takes a worker for alive whose id another's begins with",
    "worker.names",
    "acquireLeases",
    async (acquire, { workers, shards }, [scope, worker, shardIds]) => {
      const isHeld = (id: string): boolean => {
        const [owner] = shards.get(id)?.owner?.split("#") ?? [];
        return owner !== undefined && [...workers.keys()].some((own) => own.startsWith(owner));
      };
      return acquire(
        scope,
        worker,
        shardIds.filter((id) => !isHeld(id)),
      );
    },
  ),
  mutant(
    "lists the workers that it has listed before",
    "worker.seen",
    class extends ReferenceLeaseStore {
      #listed: ReturnType<LeaseStore["listWorkers"]> | undefined;
      override listWorkers(...[scope]: Parameters<LeaseStore["listWorkers"]>) {
        return (this.#listed ??= super.listWorkers(scope));
      }
    },
  ),
  mutant(
    "lists the leases that it has listed before while no worker comes or goes",
    "worker.seen",
    class extends ReferenceLeaseStore {
      readonly #listed = new Map<number, ReturnType<LeaseStore["listLeases"]>>();
      override listLeases(...[scope]: Parameters<LeaseStore["listLeases"]>) {
        const key = this.rows(scope).workers.size;
        const listed = this.#listed.get(key) ?? super.listLeases(scope);
        this.#listed.set(key, listed);
        return listed;
      }
    },
  ),
  meddling(
    "restarts the counter when another incarnation wants its id",
    "worker.duplicate",
    "joinWorker",
    ({ workers }, [, { workerId, incarnation }]) => {
      const row = workers.get(workerId);
      if (row && row.incarnation !== incarnation) workers.set(workerId, { ...row, counter: 0 });
    },
  ),
  meddling("takes the leases from who is evicted", "evict.still", "evictWorker", ({ shards }) =>
    shards.forEach((shard) => void (shard.owner = undefined)),
  ),
  broken(
    "answers each eviction as the first one",
    "evict.still",
    "evictWorker",
    async (evict, { workers }, [scope, worker]) => {
      const answer = await evict(scope, worker);
      return answer === "gone" && workers.get(worker.workerId) === undefined ? "evicted" : answer;
    },
  ),
  broken(
    "beats by reading a row and putting it later",
    "evict.race",
    "heartbeat",
    async (_beat, rows, [, { workerId, incarnation }]) => {
      const row = rows.workers.get(workerId);
      if (row?.incarnation !== incarnation) return { outcome: "evicted" as const };
      await roundTrip();
      const counter = row.counter + 1;
      rows.workers.set(workerId, { ...row, counter });
      return { outcome: "alive" as const, counter, revision: rows.revision };
    },
  ),
  broken(
    "reads the counter and writes it later",
    "worker.heartbeat-race",
    "heartbeat",
    async (heartbeat, { workers }, [scope, worker]) => {
      const counter = workers.get(worker.workerId)?.counter ?? 0;
      await roundTrip();
      const row = workers.get(worker.workerId);
      if (row?.incarnation === worker.incarnation) workers.set(row.workerId, { ...row, counter });
      return heartbeat(scope, worker);
    },
  ),
  broken(
    "looks who has an id and joins later",
    "worker.join-race",
    "joinWorker",
    async (join, { workers }, [scope, worker]) => {
      const standing = workers.get(worker.workerId);
      if (standing) return join(scope, worker);
      await roundTrip();
      workers.delete(worker.workerId);
      return join(scope, worker);
    },
  ),
  broken(
    "looks for an incarnation and lets its id leave later",
    "worker.leave-race",
    "leaveWorker",
    async (_leave, { workers }, [, { workerId, incarnation }]) => {
      if (workers.get(workerId)?.incarnation !== incarnation) return;
      await roundTrip();
      workers.delete(workerId);
    },
  ),
  broken(
    "looks for an incarnation and evicts its id later",
    "worker.leave-race",
    "evictWorker",
    async (_evict, { workers }, [, { workerId, incarnation, counter }]) => {
      const row = workers.get(workerId);
      if (row?.incarnation !== incarnation) return "gone";
      if (row.counter !== counter) return "moved";
      await roundTrip();
      workers.delete(workerId);
      return "evicted";
    },
  ),
  meddling(
    "forgets a worker's limit with its heartbeat",
    "worker.join",
    "heartbeat",
    (rows, call) => {
      const row = rows.workers.get(call[1].workerId);
      if (row) rows.workers.set(row.workerId, { ...row, maxShards: undefined });
    },
  ),
  meddling(
    "forgets the checkpoints of who is evicted",
    "evict.still",
    "evictWorker",
    (rows, call) => {
      const owner = ownerOf(call[1]);
      for (const shard of rows.shards.values())
        if (shard.owner === owner) shard.checkpoint = undefined;
    },
  ),
];
