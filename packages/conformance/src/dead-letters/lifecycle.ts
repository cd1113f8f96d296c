import { KcError, type DeadLetterQueue } from "@kc/core";
import { expect } from "vitest";
import { onceRecovered, rejection } from "../expectations.ts";
import { expectHeld, letterAt, lettersUpTo, send } from "./fixtures.ts";
import type { DeadLetterHarness, DeadLetterScenario } from "./harness.ts";

type Outage = Required<Pick<DeadLetterHarness, "breakConnection" | "restore">>;

/** A store's queue uses the store's error codes. */
const CLOSED = /^(?:DEAD_LETTERS|STORE)_CLOSED$/;
const FAMILY = /^(?:DEAD_LETTERS|STORE)_/;

function outageOf(harness: DeadLetterHarness): Outage {
  if (harness.breakConnection === undefined || harness.restore === undefined) {
    expect.fail("give the harness breakConnection() and restore(), or list this gap");
  }
  return harness as DeadLetterHarness & Outage;
}

async function expectClosed(queue: DeadLetterQueue, what: string): Promise<void> {
  const error = await rejection(send(queue, [letterAt(0)]), what);
  if (!KcError.is(error)) expect.fail(`${what} must reject with a DeadLetterError`);
  expect(error.code, what).toMatch(CLOSED);
  expect(error.retryable, what).toBe(false);
}

export const lifecycleScenarios: readonly DeadLetterScenario[] = [
  {
    key: "abort.before",
    title: "send with an aborted signal rejects with its reason, and holds nothing",
    async run({ harness }) {
      const queue = await harness.open();
      const reason = new Error("the caller's own reason");
      const call = queue.send([letterAt(0)], { signal: AbortSignal.abort(reason) });
      expect(await rejection(call, "send with an aborted signal")).toBe(reason);
      await expectHeld(harness, []);
    },
  },
  {
    key: "outage.rejects",
    title:
      "in an outage send rejects with an error that passes, and the same letters are held after it",
    async run({ harness }) {
      const place = outageOf(harness);
      const queue = await harness.open();
      await send(queue, lettersUpTo(1));
      await place.breakConnection();
      const error = await rejection(send(queue, lettersUpTo(3)), "send in an outage");
      if (!KcError.is(error)) expect.fail("send in an outage must reject with a DeadLetterError");
      expect(error.code).toMatch(FAMILY);
      expect(error.retryable, "the outage passes").toBe(true);
      await place.restore();
      await onceRecovered(() => send(queue, lettersUpTo(3)));
      await expectHeld(harness, lettersUpTo(3));
    },
  },
  {
    key: "outage.abort",
    title: "a signal that aborts ends a send that gets no answer, with its reason",
    async run({ harness }) {
      const place = outageOf(harness);
      const queue = await harness.open();
      await send(queue, lettersUpTo(1));
      await place.breakConnection();
      const stop = new AbortController();
      const reason = new Error("the shard stops");
      const call = queue.send(lettersUpTo(3), { signal: stop.signal });
      stop.abort(reason);
      expect(await rejection(call, "send under a signal that aborts")).toBe(reason);
      await place.restore();
    },
  },
  {
    key: "close.closed",
    title: "send on a queue that is closed rejects for good, whether it was used or not",
    async run({ harness }) {
      const [used, unused] = [await harness.open(), await harness.open()];
      await send(used, [letterAt(0)]);
      for (const queue of [used, unused]) {
        await queue.close();
        await expectClosed(queue, "send after close");
      }
      await expectHeld(harness, [letterAt(0)]);
    },
  },
  {
    key: "close.twice",
    title: "closing again, or twice at once, does nothing",
    async run({ harness }) {
      const queue = await harness.open();
      await send(queue, [letterAt(0)]);
      await expect(
        Promise.all([queue.close(), queue.close()]),
        "twice at once",
      ).resolves.toBeDefined();
      await expect(queue.close(), "once more").resolves.toBeUndefined();
      await expectHeld(harness, [letterAt(0)]);
    },
  },
  {
    key: "close.one-handle",
    title: "closing one handle leaves another working",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      await send(one, [letterAt(0)]);
      await send(other, [letterAt(1)]);
      await one.close();
      await send(other, [letterAt(2)]);
      await expectHeld(harness, lettersUpTo(3));
    },
  },
];
