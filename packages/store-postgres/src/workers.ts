import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
  WorkerRow,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import type { PostgresRow } from "./driver.ts";
import { revisionOf } from "./leases.ts";
import * as sql from "./worker-statements.ts";

/** The rows of workers; each call is one transaction. `LeaseStore` documents each method. */
export class Workers {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async join(
    scope: StoreScope,
    worker: WorkerMembership,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["joinWorker"]> {
    const [, existing, revision] = await this.#calls.runClaimed(scope, options, (place) =>
      sql.join(place, worker),
    );
    const incarnation = existing![0]?.["incarnation"];
    // The worker that had this id left between the two statements: the id is free now.
    if (typeof incarnation !== "string") return this.join(scope, worker, options);
    if (incarnation !== worker.incarnation) return { outcome: "duplicate", incarnation };
    return { outcome: "joined", revision: revisionOf(revision!) };
  }

  async heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    const [rows] = await this.#calls.run(scope, options, (place) => sql.heartbeat(place, worker));
    const [row] = rows!;
    if (row === undefined) return { outcome: "evicted" };
    return { outcome: "alive", counter: Number(row["counter"]), revision: revisionOf(rows!) };
  }

  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listWorkers"]> {
    const [revision, rows] = await this.#calls.runClaimed(scope, options, sql.listWorkers);
    return { revision: revisionOf(revision!), workers: rows!.map(workerOf) };
  }

  async evict(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["evictWorker"]> {
    const [gone, existing] = await this.#calls.run(scope, options, (place) =>
      sql.evict(place, worker),
    );
    if (gone!.length > 0) return "evicted";
    return existing!.length > 0 ? "moved" : "gone";
  }

  async leave(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): Promise<void> {
    await this.#calls.run(scope, options, (place) => sql.leave(place, worker));
  }
}

function workerOf(row: PostgresRow): WorkerRow {
  const most = row["max_shards"] ?? null;
  return {
    workerId: String(row["worker_id"]),
    incarnation: String(row["incarnation"]),
    weight: Buffer.from(String(row["weight"]), "hex").readDoubleBE(),
    maxShards: most === null ? undefined : Number(most),
    counter: Number(row["counter"]),
  };
}
