import {
  MemoryStore,
  MemoryStoreData,
  StoreError,
  type CallOptions,
  type LeaseStore,
  type MemoryApplication,
  type ShardPut,
  type StoreScope,
  type WorkerIdentity,
} from "@kc/core";
import type { LeaseStoreHarness } from "../../src/index.ts";
import type { LeaseOperationName } from "../../src/lease-store/operations.ts";

export interface LeaseMutant {
  readonly name: string;
  readonly caughtBy: readonly string[];
  readonly makeHarness: () => Promise<LeaseStoreHarness>;
}

/** Shards whose leases another transaction has locked. */
const LOCKED = new WeakMap<MemoryStoreData, Set<string>>();

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

  get locked(): Set<string> {
    const locked = LOCKED.get(this.data) ?? new Set();
    LOCKED.set(this.data, locked);
    return locked;
  }

  override acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): ReturnType<LeaseStore["acquireLeases"]> {
    const open = shardIds.filter((id) => !this.locked.has(id));
    return super.acquireLeases(scope, worker, open, options);
  }
}

export type StoreClass = new (options: { readonly data: MemoryStoreData }) => ReferenceLeaseStore;

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
    grantLease: async (scope, shardId, fence) => {
      Object.assign(data.shard(scope, shardId), fence);
    },
    async lockRow(_scope, shardId, row) {
      const { locked } = new Class({ data });
      if (row === "lease") locked.add(shardId);
      return async () => void locked.delete(shardId);
    },
    breakConnection: async () => void (reachable = false),
    restore: async () => void (reachable = true),
    async [Symbol.asyncDispose]() {},
  };
}

export function mutant(
  name: string,
  caughtBy: string | readonly string[],
  Class: StoreClass,
): LeaseMutant {
  return { name, caughtBy: [caughtBy].flat(), makeHarness: () => leaseHarness(Class) };
}

type Method<Name extends keyof LeaseStore> = Extract<
  NonNullable<LeaseStore[Name]>,
  (...parameters: never[]) => Promise<unknown>
>;

/** A store that does one operation otherwise. `asItShould` does it as the reference does. */
export function broken<Name extends keyof LeaseStore>(
  name: string,
  caughtBy: string,
  operation: Name,
  run: (
    asItShould: Method<Name>,
    rows: MemoryApplication,
    parameters: Parameters<Method<Name>>,
  ) => ReturnType<Method<Name>>,
): LeaseMutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceLeaseStore {
      constructor(options: { readonly data: MemoryStoreData }) {
        super(options);
        const original = Reflect.get(this, operation) as (...p: unknown[]) => Promise<unknown>;
        const asItShould = ((...p: unknown[]) => original.apply(this, p)) as Method<Name>;
        Object.assign(this, {
          [operation]: (...parameters: Parameters<Method<Name>>) =>
            run(asItShould, this.rows(parameters[0] as StoreScope), parameters),
        });
      }
    },
  );
}

/** A store that changes its rows after it has answered a call, or before it begins one. */
export function meddling<Name extends keyof LeaseStore>(
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
export function asTheyStand(
  { shards }: MemoryApplication,
  rows: readonly ShardPut[],
): readonly ShardPut[] {
  return rows.map(({ shardId, lineage }) => {
    const replaces = shards.get(shardId)?.lineage;
    return { shardId, lineage, ...(replaces !== undefined && { replaces }) };
  });
}

export const quiet = (
  name: string,
  operation: LeaseOperationName | "resetCheckpoint",
): LeaseMutant =>
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
