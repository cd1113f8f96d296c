import type { CallOptions, LeaseStore, StoreScope } from "@kc/core";
import { expect } from "vitest";
import { registerScenarios, type ConformanceOptions } from "../register.ts";
import { collectScenarios } from "../scenario.ts";
import { Wire, type Moment } from "../wire.ts";
import { CALLS, forcedReset, givenWorker, repeatedFlush, TAKEN, type Call } from "./calls.ts";
import type { FrozenClientHarness, FrozenClientScenario } from "./harness.ts";
import { deadline, expectToGoOn, expectToHold, expectToLeave } from "./others.ts";

const LEASE_MS = 10_000;
/** More messages than any call has. */
const MAX_MESSAGES = 200;

/**
 * Visits the moments before and after each message of a call. `visit` returns false if the call
 * ended before.
 */
async function atEachMoment(visit: (moment: Moment) => Promise<boolean>): Promise<void> {
  for (const when of ["before", "after"] as const) {
    let message = 0;
    while (await visit({ message, when })) {
      message += 1;
      expect(message, "messages of one call").toBeLessThan(MAX_MESSAGES);
    }
    expect(message, "messages of one call").toBeGreaterThan(0);
  }
}

/** One call in which a client freezes. */
interface Attempt {
  readonly moment: Moment;
  /** Prepares the call, and returns it. */
  readonly prepare: (
    store: LeaseStore,
  ) => Promise<(options: CallOptions) => Promise<unknown> | undefined>;
  /**
   * The actions of others; `wake` resolves when the client has continued and its call has ended.
   */
  readonly meanwhile: (wake: () => Promise<void>) => Promise<void>;
}

/** Returns whether the call reached the moment. */
async function attempt(
  harness: FrozenClientHarness,
  { moment, prepare, meanwhile }: Attempt,
): Promise<boolean> {
  const wire = await Wire.open(harness.servers);
  const store = await harness.openAt(wire.addresses);
  const end = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();
  try {
    const call = await prepare(store);
    const still = wire.standStillAt(moment).then(() => true);
    ended = Promise.resolve(call({ signal: end.signal })).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(await Promise.race([still, ended.then(() => false)]))) {
      expect(await ended, "the call's failure where nothing stands still").toBeUndefined();
      return false;
    }
    await meanwhile(async () => {
      wire.wake();
      // The result does not matter; only what others hold does.
      await ended;
    });
    return true;
  } finally {
    end.abort(new Error("the scenario is over"));
    await ended;
    await wire.close();
    await store[Symbol.asyncDispose]();
  }
}

/**
 * @param taken the shard whose lease the call ends, whoever holds it and whenever it arrives
 *   (messages sent before the moment may do so too); absent if it takes nothing from others
 */
function standsStill(key: string, title: string, call: Call, taken?: string) {
  const scenario: FrozenClientScenario = {
    key: `frozen.${key}`,
    title,
    async run({ harness }) {
      const { leaseMs = LEASE_MS } = harness;
      const other = await harness.open();
      await other.setup?.();
      await atEachMoment((moment) => {
        const application = `${moment.when}-${moment.message}`;
        const scope: StoreScope = { application, streamName: "orders" };
        return attempt(harness, {
          moment,
          async prepare(store) {
            const before = await givenWorker(store, scope);
            return (options) => call(before, options);
          },
          async meanwhile(wake) {
            const written = await expectToGoOn(other, scope, leaseMs, taken);
            if (taken === undefined) {
              await wake();
              await expectToHold(other, scope, written, leaseMs);
            }
            await expectToLeave(other, scope, written, leaseMs, taken);
          },
        });
      });
    },
  };
  return scenario;
}

const setupScenario: FrozenClientScenario = {
  key: "frozen.setup",
  title:
    "a client that stops within the first setup() does not keep others from setting up and working",
  async run({ harness: first, make }) {
    if (!("setup" in (await first.open()))) return;
    await atEachMoment(async (moment) => {
      const harness = await make();
      const { leaseMs = LEASE_MS } = harness;
      return attempt(harness, {
        moment,
        prepare: async (store) => (options) => store.setup?.(options),
        async meanwhile(wake) {
          const other = await harness.open();
          const scope: StoreScope = { application: "billing", streamName: "orders" };
          const { options, answer } = deadline(leaseMs);
          await answer("setup", other.setup?.(options) ?? Promise.resolve());
          await givenWorker(other, scope);
          const written = await expectToGoOn(other, scope, leaseMs);
          await wake();
          await expectToHold(other, scope, written, leaseMs);
        },
      });
    });
  },
};

/**
 * The scenarios: a client that freezes in any call, before or after any message, holds nothing that
 * others need, and its messages after it wakes take nothing from them.
 */
export const FROZEN_CLIENT_SCENARIOS: readonly FrozenClientScenario[] =
  collectScenarios<FrozenClientHarness>([
    ...Object.entries(CALLS).map(([name, call]) =>
      standsStill(
        name,
        `who stands still in ${name} holds nothing that others need, and takes nothing back when it wakes`,
        call,
      ),
    ),
    standsStill(
      "repeated-flush",
      "who stands still in setCheckpoints that moves nothing holds nothing that others need",
      repeatedFlush,
    ),
    standsStill(
      "forced-reset",
      "who stands still in a forced resetCheckpoint holds nothing that others need",
      forcedReset,
      TAKEN,
    ),
    setupScenario,
  ]);

/**
 * Registers the suite of clients that freeze or are lost, for a LeaseStore with a server: each call
 * is made over a TCP connection that freezes at each of its messages in turn.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function frozenClientConformance(
  name: string,
  makeHarness: () => Promise<FrozenClientHarness>,
  options?: ConformanceOptions,
): void {
  registerScenarios(name, FROZEN_CLIENT_SCENARIOS, makeHarness, options);
}
