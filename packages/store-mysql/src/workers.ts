import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import type { Call, Calls } from "./calls.ts";
import type { Lane } from "./connection.ts";
import { isDuplicate } from "./errors.ts";
import * as sql from "./lease-statements.ts";
import { checkWorker } from "./name-checks.ts";

/**
 * The rows of workers. `LeaseStore` documents each method. A heartbeat is an update and a snapshot, a list is one
 * snapshot, and neither waits for a flush.
 */
export class Workers {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  join(
    scope: StoreScope,
    worker: WorkerMembership,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#run(scope, worker, options, async (call) => {
      await call.snapshot({}); // checks the namespace's claim before anything is written
      for (;;) {
        const entered = await enter(call, worker);
        const { revision, workers } = await call.snapshot({ workers: "all" });
        if (entered) return { outcome: "joined", revision };
        const existing = workers.find(({ workerId }) => workerId === worker.workerId);
        if (existing === undefined) continue; // the other worker has left meanwhile: the id is free
        const { incarnation } = existing;
        if (incarnation === worker.incarnation) return { outcome: "joined", revision };
        return { outcome: "duplicate", incarnation };
      }
    });
  }

  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    const work = async ({
      session,
      place,
      snapshot,
    }: Call): Promise<Awaited<ReturnType<LeaseStore["heartbeat"]>>> => {
      await session.write(sql.heartbeat(place, worker));
      const { revision, workers } = await snapshot({ workers: worker });
      const [row] = workers;
      if (row === undefined) return { outcome: "evicted" };
      return { outcome: "alive", counter: row.counter, revision };
    };
    return this.#run(scope, worker, options, work, "heartbeat");
  }

  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listWorkers"]> {
    const work = async ({
      snapshot,
    }: Call): Promise<Awaited<ReturnType<LeaseStore["listWorkers"]>>> => {
      const { revision, workers } = await snapshot({ workers: "all" });
      return { revision, workers };
    };
    return this.#run(scope, undefined, options, work, "heartbeat");
  }

  evict(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#remove(scope, worker, options, worker.counter);
  }

  async leave(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): Promise<void> {
    await this.#remove(scope, worker, options);
  }

  /** With a counter, removes the worker only if its counter is still the same. */
  #remove(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
    counter?: number,
  ): Promise<"evicted" | "moved" | "gone"> {
    return this.#run(scope, worker, options, async ({ place, snapshot, change }) => {
      for (;;) {
        const [row] = (await snapshot({ workers: worker })).workers;
        if (row === undefined) return "gone";
        if (counter !== undefined && row.counter !== counter) return "moved";
        if ((await change(sql.removeWorker(place, worker, counter))) > 0) return "evicted";
      }
    });
  }

  #run<Answer>(
    scope: StoreScope,
    worker: WorkerIdentity | undefined,
    options: CallOptions | undefined,
    work: (call: Call) => Promise<Answer>,
    lane: Lane = "work",
  ): Promise<Answer> {
    const checked = async (call: Call): Promise<Answer> => {
      if (worker !== undefined) checkWorker(worker);
      return work(call);
    };
    return this.#calls.run(scope, [], options, checked, lane);
  }
}

/** Returns false if a worker with that id exists. Raises the revision before the caller reads it. */
async function enter(
  { place, change, raisePendingRevision }: Call,
  worker: WorkerMembership,
): Promise<boolean> {
  try {
    await change(sql.putWorker(place, worker));
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  } finally {
    await raisePendingRevision();
  }
}
