import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ShardProgress } from "../src/checkpoints/shard-progress.ts";
import { Tracker } from "../src/delivery/tracker.ts";
import type { Page } from "../src/reading/shard-reader.ts";

/** A shard's progress that nobody writes. */
function progress(): ShardProgress {
  return new ShardProgress({
    shardId: "shardId-000000000000",
    fence: undefined,
    acknowledged: undefined,
    firstNumber: () => "1",
    maxAheadBytes: 0,
    writeThrough: false,
    phaseMs: 0,
    maxUnflushedMs: Infinity,
    clock: new FakeClock(),
    onDirty: () => {},
    onFlush: () => {},
  });
}

/** A page that notes what becomes of its memory. */
function page(receivedAt = 0): { readonly page: Page; readonly memory: string[] } {
  const memory: string[] = [];
  const reservation = {
    taken: () => memory.push("taken"),
    release: () => memory.push("released"),
    hold: (bytes: number) => bytes <= 1000 && memory.push(`held ${bytes}`) > 0,
    shrinkTo: (bytes: number) => memory.push(`shrunk to ${bytes}`),
  };
  return { page: { memory: reservation, receivedAt } as unknown as Page, memory };
}

const number = (ordinal: number): string => String(1000 + ordinal);

/** Pages of so many records, the order in which they finish, and which of them are skipped. */
const stories = fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 6 }).chain((sizes) => {
  const count = sizes.reduce((sum, size) => sum + size, 0);
  const ordinals = Array.from({ length: count }, (_, i) => i);
  return fc.record({
    sizes: fc.constant(sizes),
    order: fc.shuffledSubarray(ordinals, { minLength: count, maxLength: count }),
    skipped: fc.subarray(ordinals),
  });
});

test("the watermark is the last record that is done with all before it finished, in whatever order they finish", () => {
  fc.assert(
    fc.property(stories, ({ sizes, order, skipped }) => {
      const shard = progress();
      const tracker = new Tracker(shard);
      const pages = sizes.map(() => page());
      const pageOf: number[] = [];
      for (const [index, size] of sizes.entries()) {
        tracker.accept(pages[index]!.page);
        for (let i = 0; i < size; i += 1) {
          expect(tracker.start(number(pageOf.length), undefined, true)).toBe(pageOf.length);
          pageOf.push(index);
        }
        tracker.endPage();
      }
      const finished = new Set<number>();
      const left = [...sizes];
      const isReleased = (index: number): boolean => pages[index]!.memory.includes("released");
      for (const ordinal of order) {
        expect(isReleased(pageOf[ordinal]!)).toBe(false);
        if (skipped.includes(ordinal)) tracker.skipped(ordinal);
        else tracker.done(ordinal);
        finished.add(ordinal);
        left[pageOf[ordinal]!]! -= 1;

        let low = 0;
        while (finished.has(low)) low += 1;
        const done = [...finished].filter((each) => each < low && !skipped.includes(each));
        const watermark = done.length > 0 ? number(Math.max(...done)) : undefined;
        expect(shard.position?.sequenceNumber).toBe(watermark);
        expect(tracker.inFlight).toBe(order.length - low);
        expect(isReleased(pageOf[ordinal]!)).toBe(left[pageOf[ordinal]!] === 0);
      }
      for (const { memory } of pages) expect(memory).toEqual(["taken", "released"]);
      expect(tracker.oldest).toBeUndefined();
    }),
  );
});

test("inside an aggregate the last whole record is the last one before it, in whatever order they finish", () => {
  fc.assert(
    fc.property(stories, ({ sizes, order, skipped }) => {
      const shard = progress();
      const tracker = new Tracker(shard);
      tracker.accept(page().page);
      /** Of each record, the number of its stream record, and whether it ends it. */
      const records = sizes.flatMap((size, index) =>
        Array.from({ length: size }, (_, sub) => ({ index, sub, ends: sub === size - 1 })),
      );
      for (const { index, sub, ends } of records) tracker.start(number(index), sub, ends);
      const finished = new Set<number>();
      for (const ordinal of order) {
        if (skipped.includes(ordinal)) tracker.skipped(ordinal);
        else tracker.done(ordinal);
        finished.add(ordinal);
        let low = 0;
        while (finished.has(low)) low += 1;
        const done = [...finished].filter((each) => each < low && !skipped.includes(each));
        const last = records[Math.max(-1, ...done)];
        if (last === undefined || last.ends) {
          expect(shard.position ?? {}).not.toHaveProperty("wholeSequenceNumber");
          continue;
        }
        const whole = records.findLast(({ index, ends }) => ends && index < last.index);
        expect(shard.position).toMatchObject({
          sequenceNumber: number(last.index),
          subSequenceNumber: last.sub,
          wholeSequenceNumber: whole === undefined ? "1" : number(whole.index),
        });
      }
    }),
  );
});

test("records that start while others are in flight are told apart, however many they are", () => {
  const shard = progress();
  const tracker = new Tracker(shard);
  tracker.accept(page().page);
  const first = tracker.start(number(0), 7, false);
  for (let i = 1; i < 1000; i += 1) tracker.done(tracker.start(number(i), i, false));
  expect(shard.position).toBeUndefined();
  expect(tracker.inFlight).toBe(1000);
  tracker.done(first);
  expect(shard.position).toMatchObject({ sequenceNumber: number(999), subSequenceNumber: 999 });
  expect(tracker.inFlight).toBe(0);
});

test("a page's memory is held until its last record is finished, and no page outlives the tracker", () => {
  const tracker = new Tracker(progress());
  const [older, newer, unread] = [page(7), page(), page()];
  tracker.accept(older.page);
  const slow = tracker.start(number(0), undefined, true);
  tracker.endPage();
  tracker.accept(newer.page);
  tracker.done(tracker.start(number(1), undefined, true));
  expect(newer.memory).toEqual(["taken"]);
  tracker.endPage();
  expect(newer.memory).toEqual(["taken", "released"]);
  expect(tracker.oldest).toMatchObject({ receivedAt: 7 });
  tracker.accept(unread.page);
  tracker.close();
  expect([older.memory, unread.memory]).toEqual([
    ["taken", "released"],
    ["taken", "released"],
  ]);
  tracker.done(slow);
  expect(older.memory).toHaveLength(2);
});

test("a page that is needed for no record any more shrinks to the copies of those that wait", () => {
  const shard = progress();
  const tracker = new Tracker(shard);
  const { page: own, memory } = page(7);
  tracker.accept(own);
  const [first, second, third] = [0, 1, 2].map((each) =>
    tracker.start(number(each), undefined, true),
  );
  expect(tracker.detach(second!, 5000)).toBe(false);
  expect(tracker.detach(second!, 50)).toBe(true);
  expect(tracker.detach(third!, 30)).toBe(true);
  tracker.endPage();
  expect(memory).toEqual(["taken", "held 50", "held 30"]);
  tracker.done(first!);
  expect(memory.at(-1)).toBe("shrunk to 80");
  expect(shard.position).toMatchObject({ sequenceNumber: number(0) });
  // The page's age counts until its last record is finished.
  expect(tracker.oldest).toMatchObject({ receivedAt: 7 });
  tracker.done(third!);
  expect(shard.position).toMatchObject({ sequenceNumber: number(0) });
  tracker.done(second!);
  expect(memory.at(-1)).toBe("released");
  expect(shard.position).toMatchObject({ sequenceNumber: number(2) });
  expect(tracker.oldest).toBeUndefined();
});
