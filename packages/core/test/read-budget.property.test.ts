import { setMaxListeners } from "node:events";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  MAX_PAGE_BYTES,
  ReadBudget,
  ReadAccount,
  type Reservation,
} from "../src/scan/read-budget.ts";

const MIB = 2 ** 20;
const forEver = new AbortController().signal;
setMaxListeners(0, forEver);

/** Asks, and tells whether it was let through at once. */
async function ask(
  budget: ReadBudget,
  account: ReadAccount,
  recentBytes?: number,
  signal = forEver,
): Promise<{ granted: Reservation | undefined; promise: Promise<Reservation> }> {
  const asked: { granted: Reservation | undefined; promise: Promise<Reservation> } = {
    granted: undefined,
    promise: budget.reserve(account, recentBytes, signal),
  };
  asked.promise.then(
    (reservation) => (asked.granted = reservation),
    () => {},
  );
  await turn();
  return asked;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("an unknown page reserves the largest, a known one twice its size, an empty one a little", async () => {
  const budget = new ReadBudget(64 * MIB);
  const reserved = async (recentBytes?: number): Promise<number> => {
    const { granted } = await ask(budget, new ReadAccount(), recentBytes);
    const { used } = budget;
    granted!.release();
    return used;
  };
  expect(await reserved()).toBe(MAX_PAGE_BYTES);
  expect(await reserved(MIB)).toBe(2 * MIB);
  expect(await reserved(9 * MIB)).toBe(MAX_PAGE_BYTES);
  expect(await reserved(0)).toBe(64 * 1024);
  expect(budget.used).toBe(0);
});

test("one page passes without room; the next waits for it", async () => {
  const budget = new ReadBudget(16 * MIB);
  const [a, b, c] = [new ReadAccount(), new ReadAccount(), new ReadAccount()];
  const first = await ask(budget, a);
  const second = await ask(budget, b);
  const third = await ask(budget, c);
  expect([first.granted, second.granted, third.granted].map(Boolean)).toEqual([true, true, false]);
  second.granted!.release();
  await turn();
  expect(third.granted).toBeDefined();
  expect(budget.used).toBe(20 * MIB);
});

test("who holds nothing goes before who reads ahead, although it asked later", async () => {
  const budget = new ReadBudget(16 * MIB);
  const [a, b, c] = [new ReadAccount(), new ReadAccount(), new ReadAccount()];
  const inHand = await ask(budget, a);
  await ask(budget, b);
  const ahead = await ask(budget, a, MIB);
  const nothing = await ask(budget, c);
  expect([ahead.granted, nothing.granted].map(Boolean)).toEqual([false, false]);
  inHand.granted!.hold(MIB);
  await turn();
  expect(ahead.granted).toBeUndefined();
  inHand.granted!.release();
  await turn();
  // Now a holds nothing either, and it asked first.
  expect([ahead.granted, nothing.granted].map(Boolean)).toEqual([true, false]);
});

test("reading ahead takes a shard no further than an even part", async () => {
  const budget = new ReadBudget(16 * MIB);
  const [a, b] = [new ReadAccount(), new ReadAccount()];
  for (const account of [a, b]) {
    const { granted } = await ask(budget, account, MIB);
    granted!.hold(2 * MIB);
  }
  const even = await ask(budget, a, 3 * MIB);
  expect(even.granted).toBeDefined();
  const more = await ask(budget, a, MIB);
  expect(more.granted).toBeUndefined();
  expect((await ask(budget, b, 3 * MIB)).granted).toBeDefined();
});

test("who stops waiting leaves the line, and an early stop is not let in", async () => {
  const budget = new ReadBudget(16 * MIB);
  await ask(budget, new ReadAccount());
  await ask(budget, new ReadAccount());
  const stop = new AbortController();
  const leaver = await ask(budget, new ReadAccount(), undefined, stop.signal);
  const next = await ask(budget, new ReadAccount(), 0);
  stop.abort(new Error("stopped"));
  await expect(leaver.promise).rejects.toThrow("stopped");
  expect(next.granted).toBeUndefined();
  await expect(budget.reserve(new ReadAccount(), 0, stop.signal)).rejects.toThrow("stopped");
});

test("who reads ahead goes on when the one that had nothing stops waiting", async () => {
  const budget = new ReadBudget(16 * MIB);
  const reader = new ReadAccount();
  const inHand = await ask(budget, reader, 0);
  inHand.granted!.hold(1);
  const fits = await ask(budget, new ReadAccount());
  const passesWithoutRoom = await ask(budget, new ReadAccount());
  const stop = new AbortController();
  await ask(budget, new ReadAccount(), undefined, stop.signal);
  fits.granted!.hold(1);
  passesWithoutRoom.granted!.hold(12 * MIB);
  const ahead = await ask(budget, reader, 0);
  expect(ahead.granted).toBeUndefined();
  stop.abort();
  await turn();
  expect(ahead.granted).toBeDefined();
});

test("whatever comes, memory stays within the whole and one page, and nobody waits for ever", async () => {
  const pages = fc.array(
    fc.record({
      shard: fc.integer({ min: 0, max: 9 }),
      recent: fc.option(fc.integer({ min: 0, max: 12 * MIB }), { nil: undefined }),
      actual: fc.integer({ min: 0, max: MAX_PAGE_BYTES }),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(pages, fc.integer({ min: 16 * MIB, max: 64 * MIB }), async (reads, max) => {
      const budget = new ReadBudget(max);
      const accounts = Array.from({ length: 10 }, () => new ReadAccount());
      const here: Reservation[] = [];
      let granted = 0;
      for (const { shard, recent, actual } of reads) {
        void budget.reserve(accounts[shard]!, recent, forEver).then((reservation) => {
          granted += 1;
          expect(budget.used).toBeLessThanOrEqual(max + MAX_PAGE_BYTES);
          // A page is not larger than what was reserved for it, but for what is known to be rare.
          reservation.hold(Math.min(actual, 2 * (recent ?? MAX_PAGE_BYTES)));
          here.push(reservation);
        });
      }
      for (let i = 0; i < 200 && granted < reads.length; i += 1) {
        await turn();
        here.shift()?.release();
      }
      expect(granted).toBe(reads.length);
      for (const reservation of here) reservation.release();
      expect(budget.used).toBe(0);
      expect(accounts.every(({ held }) => held === 0)).toBe(true);
    }),
    { numRuns: 50 },
  );
});
