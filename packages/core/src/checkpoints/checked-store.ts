import type { LeaseStore } from "./lease-store.ts";
import type { Store } from "./store.ts";
import type { TransactionalStore } from "./transactional-store.ts";
import {
  checkAcquired,
  checkApplication,
  checkCheckpoint,
  checkCounter,
  checkLease,
  checkRevision,
  checkWorker,
  checkWritten,
} from "./stored-rows.ts";

type AnyStore = LeaseStore & TransactionalStore<unknown, unknown>;
type Call<Name extends keyof AnyStore> = NonNullable<AnyStore[Name]>;
type Answer<Name extends keyof AnyStore> =
  Call<Name> extends (...given: never[]) => Promise<infer Value> ? Value : never;
type Given<Name extends keyof AnyStore> =
  Call<Name> extends (...given: infer Values) => unknown ? Values : never;

/** The check of each call's result. Calls that return no row need none. */
const CHECKS: {
  readonly [Name in keyof AnyStore]?: (answer: Answer<Name>, given: Given<Name>) => void;
} = {
  openApplication: ({ row }) => checkApplication(row),
  getCheckpoint: (checkpoint, [, shardId]) => {
    if (checkpoint !== undefined) checkCheckpoint(shardId, checkpoint);
  },
  getCheckpoints: (all) =>
    all.forEach((checkpoint, shardId) => checkCheckpoint(shardId, checkpoint)),
  setCheckpoints: (results, [, writes]) =>
    results.forEach((result, i) => checkWritten(result, writes[i]?.shardId ?? "")),
  transact: (answer, [, { shardId }]) => {
    if (answer.outcome === "already-done") checkCheckpoint(shardId, answer.stored);
  },
  checkpointIn: (answer, [, , { shardId }]) => {
    if (answer.outcome === "already-done") checkCheckpoint(shardId, answer.stored);
  },
  joinWorker: (answer) => {
    if (answer.outcome === "joined") checkRevision(answer.revision);
  },
  heartbeat: (answer, [, { workerId }]) => {
    if (answer.outcome !== "alive") return;
    checkCounter(workerId, answer.counter);
    checkRevision(answer.revision);
  },
  listWorkers: ({ revision, workers }) => {
    checkRevision(revision);
    workers.forEach(checkWorker);
  },
  listLeases: ({ revision, leases }) => {
    checkRevision(revision);
    leases.forEach(checkLease);
  },
  acquireLeases: (leases) => leases.forEach(checkAcquired),
};

/**
 * Wraps a store so that the result of every call is checked; calls are passed on unchanged. All rows that
 * core reads come through this wrapper.
 */
export function checkedStore<S extends Store>(store: S): S {
  // Not a proxy of the store itself: the proxy of a frozen object must not replace its methods.
  return new Proxy({} as S, {
    has: (_target, name) => name in store,
    get: (_target, name) => {
      const member: unknown = Reflect.get(store, name, store);
      // The log contains the name of the store's constructor.
      if (typeof member !== "function" || name === "constructor") return member;
      // The name may be one that every object inherits, such as toString.
      if (!Object.hasOwn(CHECKS, name)) return member.bind(store) as unknown;
      const check = CHECKS[name as keyof AnyStore] as (answer: unknown, given: unknown) => void;
      return async (...given: unknown[]) => {
        const answer: unknown = await Reflect.apply(member, store, given);
        check(answer, given);
        return answer;
      };
    },
  });
}
