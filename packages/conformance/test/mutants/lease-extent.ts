import { broken, type LeaseMutant } from "../support/reference-lease-store.ts";

const MOST = 1000;

export const leaseExtentMutants: readonly LeaseMutant[] = [
  broken(
    "claims 1,000 shards at the most",
    "acquire.many",
    "acquireLeases",
    (acquire, _rows, call) => {
      const [scope, worker, ids] = call;
      return acquire(scope, worker, ids.slice(0, MOST));
    },
  ),
  broken(
    "takes 1,000 leases back at the most",
    "acquire.many",
    "releaseLeases",
    (release, _rows, call) => {
      const [scope, leases] = call;
      return release(scope, leases.slice(0, MOST));
    },
  ),
  broken(
    "removes 1,000 shards at the most",
    "acquire.many",
    "removeShards",
    (remove, _rows, call) => {
      const [scope, ids] = call;
      return remove(scope, ids.slice(0, MOST));
    },
  ),
  broken(
    "writes 1,000 checkpoints at the most",
    "acquire.many",
    "setCheckpoints",
    (set, _rows, call) => {
      const [scope, writes] = call;
      return set(scope, writes.slice(0, MOST));
    },
  ),
  broken("puts 1,000 shards at the most", "acquire.many", "putShards", (put, _rows, call) => {
    const [scope, shards] = call;
    return put(scope, shards.slice(0, MOST));
  }),
  broken(
    "lists a megabyte of leases",
    "acquire.many",
    "listLeases",
    async (list, _rows, [scope]) => {
      const { revision, leases } = await list(scope);
      let bytes = 0;
      return {
        revision,
        leases: leases.filter(({ lineage }) => (bytes += lineage.length) < 2 ** 20),
      };
    },
  ),
  broken(
    "lists 100 workers at the most",
    "worker.many",
    "listWorkers",
    async (list, _rows, [scope]) => {
      const { revision, workers } = await list(scope);
      return { revision, workers: workers.slice(0, 100) };
    },
  ),
  counting("counts to 100", (counter) => Math.min(counter, 100)),
  counting("counts in a byte", (counter) => counter % 256),
  broken(
    "compares the last byte of the counter",
    "worker.long-life",
    "evictWorker",
    (evict, { workers }, [scope, worker]) => {
      const counter = workers.get(worker.workerId)?.counter ?? 0;
      const same = counter % 256 === worker.counter % 256;
      return evict(scope, same ? { ...worker, counter } : worker);
    },
  ),
  ...[8, 16, 32].map((bits) =>
    broken(
      `keeps epochs in ${bits} bits`,
      "acquire.high-epochs",
      "acquireLeases",
      async (acquire, { shards }, call) =>
        (await acquire(...call)).map((lease) => {
          const epoch = lease.fence.epoch % 2 ** bits;
          shards.get(lease.shardId)!.epoch = epoch;
          return { ...lease, fence: { ...lease.fence, epoch } };
        }),
    ),
  ),
];

/** Keeps a counter by another rule. */
function counting(name: string, keep: (counter: number) => number): LeaseMutant {
  return broken(name, "worker.long-life", "heartbeat", async (heartbeat, { workers }, call) => {
    const answer = await heartbeat(...call);
    if (answer.outcome === "evicted") return answer;
    const counter = keep(answer.counter);
    workers.set(call[1].workerId, { ...workers.get(call[1].workerId)!, counter });
    return { ...answer, counter };
  });
}
