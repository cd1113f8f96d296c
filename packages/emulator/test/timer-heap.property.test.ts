import fc from "fast-check";
import { expect, it } from "vitest";
import { type Timer, TimerHeap } from "../src/timer-heap.ts";

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      due: fc.integer({ min: 0, max: 30 }),
    }),
  },
  fc.record({ kind: fc.constant("remove" as const), index: fc.nat() }),
  fc.record({ kind: fc.constant("first" as const) }),
);

it("the first timer is the earliest that is still in; of equals, the one that was set first", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const heap = new TimerHeap();
      const all: Timer[] = [];
      const live = new Set<Timer>();
      const earliest = (): Timer | undefined =>
        [...live].toSorted((a, b) => a.due - b.due || a.order - b.order)[0];
      for (const one of steps) {
        if (one.kind === "add") {
          const timer = heap.add(one.due, () => {});
          all.push(timer);
          live.add(timer);
        } else {
          const timer = one.kind === "first" ? heap.first : all[one.index % (all.length || 1)];
          if (timer === undefined) continue;
          heap.remove(timer);
          heap.remove(timer);
          live.delete(timer);
        }
        expect(heap.first).toBe(earliest());
        expect(heap.size).toBe(live.size);
      }
      while (heap.first !== undefined) {
        expect(heap.first).toBe(earliest());
        live.delete(heap.first);
        heap.remove(heap.first);
      }
    }),
  );
});
