import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import type { Lane } from "./connection.ts";
import type { MysqlRow, Session } from "./database.ts";
import { isDuplicate } from "./errors.ts";
import * as sql from "./lease-statements.ts";
import { checkWorker } from "./names.ts";
import { checkPlace, revisionOf, workersOf } from "./rows.ts";

/**
 * The rows of workers: `LeaseStore` says what each call does. A heartbeat is an update and a look, a
 * list is one look, and neither waits its turn behind a flush.
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
    return this.#run(scope, worker, options, async (session, namespace) => {
      const read = (): Promise<readonly MysqlRow[]> => this.#read(session, scope, namespace);
      await read(); // before anything is written: whose is the namespace?
      for (;;) {
        const entered = await session.transaction(async () => {
          try {
            await session.query(sql.putWorker(this.#calls.tables, namespace, worker));
          } catch (error) {
            if (isDuplicate(error)) return false;
            throw error;
          }
          await session.query(sql.raiseRevision(this.#calls.tables, namespace));
          return true;
        });
        const rows = await read();
        const revision = revisionOf(rows);
        if (entered) return { outcome: "joined", revision };
        const standing = workersOf(rows).find(({ workerId }) => workerId === worker.workerId);
        if (standing === undefined) continue; // it has left meanwhile: the id is free
        const { incarnation } = standing;
        if (incarnation === worker.incarnation) return { outcome: "joined", revision };
        return { outcome: "duplicate", incarnation };
      }
    });
  }

  beat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    const work = async (
      session: Session,
      namespace: string,
    ): ReturnType<LeaseStore["heartbeat"]> => {
      await session.query(sql.beat(this.#calls.tables, namespace, worker));
      const rows = await this.#read(session, scope, namespace, worker);
      const [row] = workersOf(rows);
      if (row === undefined) return { outcome: "evicted" };
      return { outcome: "alive", counter: row.counter, revision: revisionOf(rows) };
    };
    return this.#run(scope, worker, options, work, "heartbeat");
  }

  list(scope: StoreScope, options: CallOptions | undefined): ReturnType<LeaseStore["listWorkers"]> {
    const work = async (
      session: Session,
      namespace: string,
    ): ReturnType<LeaseStore["listWorkers"]> => {
      const rows = await this.#read(session, scope, namespace);
      return { revision: revisionOf(rows), workers: workersOf(rows) };
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

  /** Looks under the row's lock. With a counter, only while it is that. */
  #remove(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
    counter?: number,
  ): Promise<"evicted" | "moved" | "gone"> {
    const { tables } = this.#calls;
    return this.#run(scope, worker, options, (session, namespace) =>
      session.transaction(async () => {
        const [row] = await session.query(sql.lockWorker(tables, namespace, worker));
        await this.#read(session, scope, namespace, worker);
        if (row === undefined) return "gone";
        if (counter !== undefined && Number(row["counter"]) !== counter) return "moved";
        await session.query(sql.deleteWorker(tables, namespace, worker));
        await session.query(sql.raiseRevision(tables, namespace));
        return "evicted";
      }),
    );
  }

  async #read(
    session: Session,
    scope: StoreScope,
    namespace: string,
    worker?: WorkerIdentity,
  ): Promise<readonly MysqlRow[]> {
    const rows = await session.query(sql.readGroup(this.#calls.tables, namespace, worker));
    checkPlace(rows, scope, namespace);
    return rows;
  }

  #run<Answer>(
    scope: StoreScope,
    worker: WorkerIdentity | undefined,
    options: CallOptions | undefined,
    work: (session: Session, namespace: string) => Promise<Answer>,
    lane: Lane = "work",
  ): Promise<Answer> {
    const checked = async (session: Session, namespace: string): Promise<Answer> => {
      if (worker !== undefined) checkWorker(worker);
      return work(session, namespace);
    };
    return this.#calls.run(scope, [], options, checked, lane);
  }
}
