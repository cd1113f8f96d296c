import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import * as sql from "./lease-statements.ts";
import { raiseRevision, readRevision } from "./revision.ts";
import { keyOf, workerOf } from "./rows.ts";

/** The rows of workers. `LeaseStore` documents each method. */
export class Workers {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  join(
    scope: StoreScope,
    { workerId, incarnation, weight, maxShards }: WorkerMembership,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["joinWorker"]> {
    const key = [...keyOf(scope), workerId];
    return this.#calls.change(scope, options, (session) => {
      const [existing] = session.query(sql.READ_WORKER, key);
      if (existing === undefined) {
        session.query(sql.PUT_WORKER, [...key, incarnation, weight, maxShards ?? null]);
        return { outcome: "joined", revision: raiseRevision(session, scope) };
      }
      if (existing["incarnation"] === incarnation) {
        return { outcome: "joined", revision: readRevision(session, scope) };
      }
      return { outcome: "duplicate", incarnation: String(existing["incarnation"]) };
    });
  }

  heartbeat(
    scope: StoreScope,
    { workerId, incarnation }: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#calls.change(scope, options, (session) => {
      const [row] = session.query(sql.HEARTBEAT, [...keyOf(scope), workerId, incarnation]);
      if (row === undefined) return { outcome: "evicted" };
      const revision = readRevision(session, scope);
      return { outcome: "alive", counter: Number(row["counter"]), revision };
    });
  }

  /** The revision is read first, since it must not be newer than the rows. */
  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listWorkers"]> {
    return this.#calls.run(scope, options, (session) => {
      const revision = readRevision(session, scope);
      return { revision, workers: session.query(sql.READ_WORKERS, keyOf(scope)).map(workerOf) };
    });
  }

  evict(
    scope: StoreScope,
    { workerId, incarnation, counter }: WorkerIdentity & { readonly counter: number },
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["evictWorker"]> {
    const key = [...keyOf(scope), workerId];
    return this.#calls.change(scope, options, (session) => {
      if (session.query(sql.EVICT_WORKER, [...key, incarnation, counter]).length > 0) {
        raiseRevision(session, scope);
        return "evicted";
      }
      const [existing] = session.query(sql.READ_WORKER, key);
      return existing?.["incarnation"] === incarnation ? "moved" : "gone";
    });
  }

  leave(
    scope: StoreScope,
    { workerId, incarnation }: WorkerIdentity,
    options: CallOptions | undefined,
  ): Promise<void> {
    return this.#calls.change(scope, options, (session) => {
      const removed = session.query(sql.REMOVE_WORKER, [...keyOf(scope), workerId, incarnation]);
      if (removed.length > 0) raiseRevision(session, scope);
    });
  }
}
