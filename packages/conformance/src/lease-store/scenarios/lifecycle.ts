import { expect } from "vitest";
import { expectStoreError, onceRecovered, rejection } from "../../expectations.ts";
import { applicationRow, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, acquire, given, leases } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";
import { LEASE_OPERATION_NAMES, LEASE_OPERATIONS } from "../operations.ts";

/** A is a member and holds SHARD; the other shard is free. */
async function prepare(harness: Parameters<LeaseStoreScenario["run"]>[0]["harness"]) {
  const store = await harness.open();
  await given(store, [A], [SHARD, shard(1)]);
  await acquire(store, A, SHARD);
  const everything = async () => ({
    ...(await store.listWorkers(SCOPE)),
    leases: await leases(store),
  });
  return { store, everything };
}

const closedTrait: readonly LeaseStoreScenario[] = LEASE_OPERATION_NAMES.map((name) => ({
  key: `lease-closed.${name}`,
  title: `${name} on a store that was disposed rejects with STORE_CLOSED`,
  async run({ harness }) {
    const store = await harness.open();
    await store[Symbol.asyncDispose]();
    const error = await rejection(LEASE_OPERATIONS[name](store), `${name} after dispose`);
    expectStoreError(error, { code: "STORE_CLOSED", retryable: false }, `${name} after dispose`);
  },
}));

const abortTrait: readonly LeaseStoreScenario[] = LEASE_OPERATION_NAMES.map((name) => ({
  key: `lease-abort.${name}`,
  title: `${name} with an aborted signal rejects with its reason and changes nothing`,
  async run({ harness }) {
    const { store, everything } = await prepare(harness);
    const before = await everything();
    const reason = new Error("the caller's own reason");
    const call = LEASE_OPERATIONS[name](store, { signal: AbortSignal.abort(reason) });
    const error = await rejection(call, `${name} with an aborted signal`);
    expect(error, `${name} must reject with signal.reason itself`).toBe(reason);
    expect(await everything()).toStrictEqual(before);
  },
}));

const outageTrait: readonly LeaseStoreScenario[] = LEASE_OPERATION_NAMES.map((name) => ({
  key: `lease-outage.${name}`,
  title: `${name} during an outage rejects with a retryable StoreError, and works after it`,
  async run({ harness }) {
    const { store } = await prepare(harness);
    if (harness.breakConnection === undefined || harness.restore === undefined) {
      expect.fail("give the harness breakConnection() and restore(), or list this gap");
    }
    await harness.breakConnection();
    const error = await rejection(
      LEASE_OPERATIONS[name](store),
      `${name} during an outage`,
    ).finally(() => harness.restore!());
    expectStoreError(error, { retryable: true }, `${name} during an outage`);
    await onceRecovered(() => LEASE_OPERATIONS[name](store));
  },
}));

export const leaseLifecycleScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "lease-restart.everything",
    title: "workers and leases outlive the process that made them",
    async run({ harness }) {
      const { store, everything } = await prepare(harness);
      await store.heartbeat(SCOPE, A);
      const before = await everything();
      await store[Symbol.asyncDispose]();
      const after = await harness.open();
      const { revision, workers } = await after.listWorkers(SCOPE);
      expect({ revision, workers, leases: await leases(after) }).toStrictEqual(before);
      const answer = await after.heartbeat(SCOPE, A);
      expect(answer, "it was not evicted").toMatchObject({ outcome: "alive", counter: 2 });
    },
  },
  {
    key: "lease-setup.kept",
    title: "setup() and the opening of an application leave workers and leases as they are",
    async run({ harness }) {
      const { store, everything } = await prepare(harness);
      const before = await everything();
      await store.openApplication(SCOPE, applicationRow());
      expect(await everything(), "first opened").toStrictEqual(before);
      await store.openApplication(SCOPE, applicationRow());
      await store.setup?.();
      expect(await everything(), "opened and set up again").toStrictEqual(before);
    },
  },
  ...closedTrait,
  ...abortTrait,
  ...outageTrait,
];
