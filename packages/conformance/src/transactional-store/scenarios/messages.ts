import { setImmediate as turn } from "node:timers/promises";
import type { TransactionalStore } from "@kc/core";
import { expect } from "vitest";
import { onceRecovered, rejection } from "../../expectations.ts";
import { at, SCOPE } from "../../store/fixtures.ts";
import { Wire, type Moment } from "../../wire.ts";
import { effectsOf, expectEffects, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";

const LEASE_MS = 10_000;
/** More messages than any transaction has. */
const MAX_MESSAGES = 100;

/** A client whose messages are counted, with one transaction. */
class Client {
  readonly wire: Wire;
  readonly store: TransactionalStore;
  readonly #harness: TransactionalStoreHarness;

  private constructor(wire: Wire, store: TransactionalStore, harness: TransactionalStoreHarness) {
    this.wire = wire;
    this.store = store;
    this.#harness = harness;
  }

  static async open(harness: TransactionalStoreHarness): Promise<Client> {
    const { servers } = harness;
    if (servers === undefined || harness.openAt === undefined) {
      expect.fail("give the harness servers and openAt(), or list this gap");
    }
    const wire = await Wire.open(servers);
    return new Client(wire, await harness.openAt(wire.addresses), harness);
  }

  /** Connects if necessary, so that the next message is the transaction's first. */
  async connect(shardId: string): Promise<void> {
    await onceRecovered(() => this.transact(`${shardId} before`, []));
  }

  transact(shardId: string, effects = effectsOf(1, 1, shardId), signal?: AbortSignal) {
    const options = signal === undefined ? { effects } : { effects, signal };
    return transact(this.#harness, this.store, writeOf(1, 3, { shardId }), options);
  }
}

/** Fails unless the shard's batch is stored exactly once. */
async function expectOnce(harness: TransactionalStoreHarness, client: Client, shardId: string) {
  const isMeant = (effect: string): boolean => effect.startsWith(`${shardId}#`);
  await expectEffects(harness, effectsOf(1, 1, shardId), shardId, isMeant);
  const stored = await onceRecovered(() => client.store.getCheckpoint(SCOPE, shardId));
  expect(stored, shardId).toStrictEqual(at(3));
}

/**
 * Visits each message of a transaction in turn. `visit` returns false if the transaction ended
 * before it.
 */
async function atEachMessage(
  when: Moment["when"],
  visit: (moment: Moment, shardId: string) => Promise<boolean>,
): Promise<void> {
  let message = 0;
  while (await visit({ message, when }, `${when} ${message}`)) {
    message += 1;
    expect(message, "messages of one transaction").toBeLessThan(MAX_MESSAGES);
  }
  expect(message, "messages of one transaction").toBeGreaterThan(0);
}

export const messageScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "message.cut",
    title:
      "a connection that ends before, within, after or behind the answer of any message of a transaction: the batch is stored once",
    async run({ harness }) {
      const client = await Client.open(harness);
      for (const when of ["before", "within", "after", "answered"] as const) {
        await atEachMessage(when, async (moment, shardId) => {
          await client.connect(shardId);
          let isReached = false;
          void client.wire.cutAt(moment).then(() => (isReached = true));
          const first = await client.transact(shardId).then(
            ({ outcome }) => outcome,
            () => "failed",
          );
          await turn();
          const hasComeSoFar = isReached;
          client.wire.wake();
          const again = await onceRecovered(() => client.transact(shardId));
          expect(again.outcome, `${shardId}, again`).not.toBe("lease-lost");

          if (first === "committed") {
            expect(again.outcome, `${shardId}, again`).toBe("already-done");
          }
          await expectOnce(harness, client, shardId);
          return hasComeSoFar;
        });
      }
      await client.wire.close();
    },
  },
  {
    key: "message.abort",
    title:
      "a signal that aborts while any message of a transaction hangs ends the call with its reason, and the batch is stored once",
    async run({ harness }) {
      const client = await Client.open(harness);
      for (const when of ["before", "after"] as const) {
        await atEachMessage(when, async (moment, shardId) => {
          await client.connect(shardId);
          const caller = new AbortController();
          const reason = new Error("the caller's own reason");
          const still = client.wire.standStillAt(moment).then(() => true);
          const call = client.transact(shardId, undefined, caller.signal);
          const ended = call.then(
            () => false,
            () => false,
          );
          const isReached = await Promise.race([still, ended]);
          if (isReached) {
            caller.abort(reason);
            expect(await rejection(call, `the transaction ${shardId}`), shardId).toBe(reason);
          }
          client.wire.wake();
          await onceRecovered(() => client.transact(shardId));
          await expectOnce(harness, client, shardId);
          return isReached;
        });
      }
      await client.wire.close();
    },
  },
  {
    key: "message.still",
    title:
      "who stands still at any message of a transaction keeps nobody from the batch for long, and stores nothing late",
    async run({ harness }) {
      const counting = await Client.open(harness);
      await counting.connect("counted");
      void counting.wire.standStillAt({ message: Infinity, when: "before" });
      await counting.transact("counted");
      const { messages } = counting.wire;
      await counting.wire.close();
      const { leaseMs = LEASE_MS } = harness;
      const standStill = async (moment: Moment): Promise<void> => {
        const shardId = `still ${moment.when} ${moment.message}`;
        const [client, other] = [await Client.open(harness), await harness.open()];
        await client.connect(shardId);
        const still = client.wire.standStillAt(moment);
        const ended = client.transact(shardId).then(
          () => undefined,
          () => undefined,
        );
        await Promise.race([still, ended]);
        const limit = AbortSignal.timeout(leaseMs);
        const batch = { effects: effectsOf(1, 1, shardId), signal: limit };
        const write = writeOf(1, 3, { shardId });
        await onceRecovered(() => transact(harness, other, write, batch)).catch((error: unknown) =>
          expect.fail(`${shardId}: others must go on within ${leaseMs} ms: ${String(error)}`),
        );
        client.wire.wake();
        // The result does not matter; only what is stored does.
        await ended;
        await expectOnce(harness, client, shardId);
        await client.wire.close();
      };
      const all = Array.from({ length: messages }, (_, message) => message);
      await Promise.all(
        all.flatMap((message) => [
          standStill({ message, when: "before" }),
          standStill({ message, when: "after" }),
        ]),
      );
    },
  },
];
