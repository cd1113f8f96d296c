import type { LeaseStore, MemoryStore } from "@kc/core";
import {
  broken,
  mutant,
  quiet,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";
import { roundTrip } from "../support/reference-store.ts";

export const leaseApplicationMutants: readonly LeaseMutant[] = [
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
  broken(
    "evicts from every application",
    "lease-scope.apart",
    "evictWorker",
    async (evict, _rows, [scope, worker]) => {
      await evict({ ...scope, application: "billing", streamName: "orders" }, worker);
      return evict(scope, worker);
    },
  ),
  broken(
    "removes shards of every application",
    "lease-scope.apart",
    "removeShards",
    async (remove, _rows, [scope, ids]) => {
      await remove({ ...scope, application: "billing", streamName: "orders" }, ids);
      return remove(scope, ids);
    },
  ),
  broken(
    "raises the revision before the change",
    "revision.lists",
    "putShards",
    async (put, rows, call) => {
      const revision = (rows.revision += 1);
      await roundTrip();
      await put(...call);
      rows.revision = revision;
    },
  ),
  broken(
    "reads leases first and the revision later",
    "revision.lists",
    "listLeases",
    async (list, rows, [scope]) => {
      const { leases } = await list(scope);
      await roundTrip();
      return { revision: rows.revision, leases };
    },
  ),
  broken(
    "reads workers first and the revision later",
    "revision.lists",
    "listWorkers",
    async (list, rows, [scope]) => {
      const { workers } = await list(scope);
      await roundTrip();
      return { revision: rows.revision, workers };
    },
  ),
  mutant(
    "names the revision of the join in heartbeats",
    "revision.heartbeats",
    class extends ReferenceLeaseStore {
      #revision = 0;
      override async joinWorker(...call: Parameters<LeaseStore["joinWorker"]>) {
        const answer = await super.joinWorker(...call);
        if (answer.outcome === "joined") this.#revision = answer.revision;
        return answer;
      }
      override async heartbeat(...call: Parameters<LeaseStore["heartbeat"]>) {
        const answer = await super.heartbeat(...call);
        return answer.outcome === "alive" ? { ...answer, revision: this.#revision } : answer;
      }
    },
  ),
  broken("hints after its signal has aborted", "watch.hints", "watch", (watch, _rows, call) => {
    const [scope, onHint, signal] = call;
    const ended = watch(scope, () => {}, signal);
    void watch(scope, onHint, new AbortController().signal);
    return ended;
  }),
  broken("watches for a moment", "watch.ends", "watch", async (watch, _rows, [scope, onHint]) => {
    void watch(scope, onHint, new AbortController().signal);
  }),
];
