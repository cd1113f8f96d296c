import { setMaxListeners } from "node:events";
import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ReadAccount, Reservation } from "../src/reading/read-account.ts";
import { ReadBudget } from "../src/reading/read-budget.ts";

const MIB = 2 ** 20;
const forEver = new AbortController().signal;
setMaxListeners(0, forEver);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Asked {
  granted: Reservation | undefined;
  readonly promise: Promise<Reservation>;
}

/** Asks, and tells whether it was let through at once. */
async function ask(account: ReadAccount, bytes: number, signal = forEver): Promise<Asked> {
  const asked: Asked = { granted: undefined, promise: account.reserve(bytes, 0, signal) };
  asked.promise.then(
    (reservation) => (asked.granted = reservation),
    () => {},
  );
  await turn();
  return asked;
}

function open(budget: ReadBudget, count: number): ReadAccount[] {
  return Array.from({ length: count }, () => budget.open());
}

test("who asks for nothing gets it at once; what does not fit waits, in the order of asking", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b, c, d] = open(budget, 4);
  const first = await ask(a!, 10 * MIB);
  const second = await ask(b!, 10 * MIB);
  const third = await ask(c!, MIB);
  const nothing = await ask(d!, 0);
  expect([first, second, third, nothing].map(({ granted }) => granted?.bytes)).toEqual([
    10 * MIB,
    undefined,
    undefined,
    0,
  ]);
  first.granted!.release();
  await turn();
  expect([second, third].map(({ granted }) => granted?.bytes)).toEqual([10 * MIB, MIB]);
  expect(budget.used).toBe(11 * MIB);
});

test("who holds nothing goes before who reads ahead, although it asked later", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b, c] = open(budget, 3);
  const inHand = await ask(a!, MIB);
  const other = await ask(b!, 12 * MIB);
  const ahead = await ask(a!, 2 * MIB);
  const nothing = await ask(c!, 2 * MIB);
  other.granted!.fits(11 * MIB);
  await turn();
  expect([ahead.granted, nothing.granted].map(Boolean)).toEqual([false, true]);
  inHand.granted!.release();
  await turn();
  // Now it holds nothing either.
  other.granted!.fits(2 * MIB);
  await turn();
  expect(ahead.granted).toBeDefined();
});

test("reading ahead leaves room to who holds nothing", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b] = open(budget, 2);
  await ask(a!, 8 * MIB);
  expect((await ask(a!, 4 * MIB)).granted).toBeDefined();
  expect((await ask(a!, 1)).granted).toBeUndefined();
  expect((await ask(b!, 2 * MIB)).granted).toBeDefined();
});

test("who stops waiting leaves the line, and lets those behind it through", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b, c] = open(budget, 3);
  await ask(a!, 10 * MIB);
  const stop = new AbortController();
  const leaver = await ask(b!, 10 * MIB, stop.signal);
  const next = await ask(c!, MIB);
  expect(next.granted).toBeUndefined();
  stop.abort(new Error("stopped"));
  await expect(leaver.promise).rejects.toThrow("stopped");
  await turn();
  expect(next.granted).toBeDefined();
  await expect(b!.reserve(0, 0, stop.signal)).rejects.toThrow("stopped");
});

test("a page that turns out too large does not fit; one record does, one such page at a time", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b, c, d] = open(budget, 4);
  await ask(a!, 14 * MIB);
  const [large, record, another] = [await ask(b!, 0), await ask(c!, 0), await ask(d!, 0)];
  record.granted!.isSingleRecord = another.granted!.isSingleRecord = true;
  expect(large.granted!.fits(3 * MIB)).toBe(false);
  expect(record.granted!.fits(3 * MIB)).toBe(true);
  expect(another.granted!.fits(3 * MIB)).toBe(false);
  record.granted!.release();
  expect(another.granted!.fits(3 * MIB)).toBe(true);
  expect(budget.used).toBe(17 * MIB);
});

test("a page that is larger than all memory comes when it is alone", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const [a, b] = open(budget, 2);
  const { granted } = await ask(a!, 16 * MIB);
  expect(granted!.fits(27 * MIB)).toBe(true);
  const other = await ask(b!, 0);
  expect(other.granted!.fits(1)).toBe(false);
  granted!.release();
  expect(other.granted!.fits(27 * MIB)).toBe(true);
});

test("old pages: what was read ahead behind them goes, and the others share what they leave", async () => {
  const clock = new FakeClock();
  const budget = new ReadBudget(64 * MIB, clock);
  const pressed: number[] = [];
  const stuck = open(budget, 6);
  for (const [index, account] of stuck.entries()) {
    account.onPressure = () => pressed.push(index);
    (await ask(account, 9 * MIB)).granted!.taken();
  }
  const others = open(budget, 3);
  const asked = [await ask(others[0]!, 10 * MIB), await ask(others[1]!, 10 * MIB)];
  await clock.advance(4900);
  expect(pressed).toEqual([]);
  expect(asked.map(({ granted }) => granted)).toEqual([undefined, undefined]);
  await clock.advance(1000);
  expect(pressed).toEqual([0, 1, 2, 3, 4, 5]);
  const third = Math.floor((10 * MIB) / 3);
  expect(asked.map(({ granted }) => granted?.bytes)).toEqual([third, third]);
  expect(clock.pendingTimers).toBe(0);

  for (const account of stuck) account.close();
  expect((await ask(others[2]!, 10 * MIB)).granted?.bytes).toBe(10 * MIB);
});

test("a reply that comes slowly, but goes on, keeps its memory", async () => {
  const clock = new FakeClock();
  const budget = new ReadBudget(16 * MIB, clock);
  const [slow, other] = open(budget, 2);
  const reply = (await ask(slow!, 10 * MIB)).granted!;
  const waiting = await ask(other!, 10 * MIB);
  for (let i = 0; i < 60; i += 1) {
    await clock.advance(500);
    expect(reply.fits(10 * MIB)).toBe(true);
    expect(waiting.granted).toBeUndefined();
  }
  await clock.advance(3000);
  expect(waiting.granted).toBeDefined();
});

test("a call that is long in coming keeps no memory from others", async () => {
  const clock = new FakeClock();
  const budget = new ReadBudget(16 * MIB, clock);
  const [hangs, waits] = open(budget, 2);
  const hanging = await ask(hangs!, 10 * MIB);
  const waiting = await ask(waits!, 10 * MIB);
  await clock.advance(2000);
  expect(waiting.granted?.bytes).toBe(10 * MIB);
  expect(hanging.granted!.fits(10 * MIB)).toBe(false);
});

test("ten thousand that wait are let through without being looked at again and again", async () => {
  const budget = new ReadBudget(16 * MIB, new FakeClock());
  const holder = budget.open();
  const held = await ask(holder, 14 * MIB);
  let reads = 0;
  for (const account of open(budget, 10_000)) {
    // Each look at one that waits reads what it asks for.
    const asked = account.reserve(16 * MIB, 0, forEver);
    const { pending } = account;
    Object.defineProperty(pending, "bytes", { get: () => ((reads += 1), 16 * MIB) });
    void asked.then((reservation) => reservation.release());
  }
  held.granted!.release();
  for (let i = 0; i < 10 && budget.used > 0; i += 1) await turn();
  expect(budget.used).toBe(0);
  expect(reads).toBeLessThan(50_000);
});

test("whatever comes, memory is within the whole and one record's page, nobody waits for ever, and all is given back", async () => {
  const reads = fc.array(
    fc.record({
      shard: fc.integer({ min: 0, max: 9 }),
      /** What was expected of the page, and what it is. */
      expected: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 * MIB })),
      actual: fc.integer({ min: 0, max: 10 * MIB }),
      least: fc.boolean(),
      handledAfter: fc.integer({ min: 0, max: 8000 }),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(reads, fc.integer({ min: 16 * MIB, max: 64 * MIB }), async (pages, max) => {
      const clock = new FakeClock();
      const budget = new ReadBudget(max, clock);
      const accounts = open(budget, 10);
      let over = 0;
      const begun = new Map<ReadAccount, number>();
      /** One record comes without room, and one for each that takes long. */
      const check = (): void => {
        const long = [...begun.values()].filter((at) => clock.monotonic() - at >= 5000);
        expect(budget.used).toBeLessThanOrEqual(max + (1 + long.length) * 10 * MIB);
      };
      const shard = async (account: ReadAccount, own: typeof pages): Promise<void> => {
        for (const { expected, actual, least, handledAfter } of own) {
          const reservation = await account.reserve(expected, 0, forEver);
          reservation.isSingleRecord = least;
          check();
          if (reservation.fits(actual)) {
            reservation.taken();
            begun.set(account, clock.monotonic());
            check();
            await new Promise<void>((resolve) => clock.setTimer(resolve, handledAfter));
            begun.delete(account);
          }
          reservation.release();
          over += 1;
        }
      };
      for (const [index, account] of accounts.entries()) {
        void shard(
          account,
          pages.filter((page) => page.shard === index),
        );
      }
      for (let i = 0; i < 100 && over < pages.length; i += 1) await clock.advance(8000);
      expect(over).toBe(pages.length);
      for (const account of accounts) account.close();
      expect(budget.used).toBe(0);
      expect(clock.pendingTimers).toBe(0);
    }),
    { numRuns: 50 },
  );
});
