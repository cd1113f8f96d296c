import fc from "fast-check";
import { expect, test } from "vitest";
import { BatchLanes, type Batchable } from "../src/delivery/batches/batch-lanes.ts";

interface Item extends Batchable {
  readonly ordinal: number;
}

const itemOf = (ordinal: number, key: string | undefined, bytes: number): Item => ({
  ordinal,
  key,
  record: { data: new Uint8Array(bytes) },
});

const items = fc
  .array(fc.tuple(fc.constantFrom("a", "b", "c", undefined), fc.nat({ max: 6 })), { maxLength: 40 })
  .map((sketch) => sketch.map(([key, bytes], ordinal) => itemOf(ordinal, key, bytes)));
/** What happens next: so many records come, a batch is taken, a record of some batch leaves. */
const steps = fc.array(fc.oneof(fc.nat({ max: 5 }), fc.constant("take"), fc.constant("leave")), {
  maxLength: 60,
});
const limits = fc.record({
  maxRecords: fc.integer({ min: 1, max: 6 }),
  maxBytes: fc.integer({ min: 1, max: 20 }),
});

test("whatever comes and leaves: batches keep their limits and each lane's order, and none is left out", () => {
  fc.assert(
    fc.property(items, steps, limits, (all, story, { maxRecords, maxBytes }) => {
      const lanes = new BatchLanes<Item>({ maxRecords, maxBytes }, () => {});
      const coming = [...all];
      const inHand: Item[] = [];
      const taken: Item[] = [];
      const take = (): void => {
        if (lanes.first === undefined) return;
        const batch = lanes.take();
        expect(batch.length).toBeLessThanOrEqual(maxRecords);
        const bytes = batch.reduce((sum, { record }) => sum + record.data.length, 0);
        if (batch.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
        for (const item of batch) {
          const busy = inHand.some(({ key }) => key !== undefined && key === item.key);
          expect(busy, "its lane is in another batch").toBe(false);
        }
        inHand.push(...batch);
        taken.push(...batch);
      };
      for (const step of story) {
        if (step === "take") take();
        else if (step === "leave") {
          const item = inHand.shift();
          if (item !== undefined) lanes.leave(item);
        } else for (const item of coming.splice(0, step)) lanes.add(item);
        expect(lanes.waiting + taken.length + coming.length).toBe(all.length);
        const mayGo = all.slice(0, all.length - coming.length).find((item) => {
          const isBusy = inHand.some(({ key }) => key !== undefined && key === item.key);
          return !taken.includes(item) && !isBusy;
        });
        expect(lanes.first).toBe(mayGo);
      }
      for (const item of coming) lanes.add(item);
      while (lanes.first !== undefined || inHand.length > 0) {
        take();
        for (const item of inHand.splice(0)) lanes.leave(item);
      }
      expect(taken.length).toBe(all.length);
      for (const lane of ["a", "b", "c"]) {
        const order = taken.filter(({ key }) => key === lane).map(({ ordinal }) => ordinal);
        expect(order).toEqual(order.toSorted((a, b) => a - b));
      }
    }),
  );
});

test("a batch is full when no further record fits", () => {
  const lanes = new BatchLanes<Item>({ maxRecords: 3, maxBytes: 10 }, () => {});
  lanes.add(itemOf(0, "a", 4));
  expect(lanes.isFull).toBe(false);
  lanes.add(itemOf(1, "b", 7));
  expect(lanes.isFull).toBe(true);
  expect(lanes.take().map(({ ordinal }) => ordinal)).toEqual([0]);
  expect(lanes.isFull).toBe(false);
});

test("records behind one that failed are reported, those that come later too", () => {
  const heldUp: number[] = [];
  const one = { maxRecords: 1, maxBytes: 10 };
  const lanes = new BatchLanes<Item>(one, ({ ordinal }) => heldUp.push(ordinal));
  const first = itemOf(0, "a", 1);
  lanes.add(first);
  lanes.take();
  lanes.add(itemOf(1, "a", 1));
  lanes.hold(first);
  lanes.add(itemOf(2, "a", 1));
  expect(heldUp).toEqual([1, 2]);
  expect(lanes.held).toBe(1);
  lanes.leave(first);
  expect(lanes.held).toBe(0);
  expect(lanes.first?.ordinal).toBe(1);
});

test("a record costs about the same, however many wait behind others", () => {
  let looks = 0;
  const lanes = new BatchLanes<Item>({ maxRecords: 500, maxBytes: 1e9 }, () => {});
  const data = new Uint8Array(1);
  const RECORDS = 5000;
  for (let i = 0; i < RECORDS; i += 1) {
    lanes.add({
      get ordinal() {
        looks += 1;
        return i;
      },
      key: String((i * 7919) % 1000),
      record: { data },
    });
  }
  let taken = 0;
  const inHand: (readonly Item[])[] = [];
  while (taken < RECORDS) {
    while (inHand.length < 4 && lanes.first !== undefined) inHand.push(lanes.take());
    for (const item of inHand.shift()!) {
      lanes.leave(item);
      taken += 1;
    }
  }
  expect(looks / RECORDS).toBeLessThan(50);
});
