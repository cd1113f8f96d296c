import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeDeadLetter, type DeadLetter } from "../src/index.ts";
import { letterText, requestsOf } from "../src/delivery/letters/letter-requests.ts";

const LETTER: DeadLetter = {
  id: "38ec40c38b14a2ab34710232b3011479",
  streamName: "orders",
  application: "billing",
  shardId: "shardId-000000000000",
  sequenceNumber: "495903382714902566085596925383615710959215759891365888",
  data: new TextEncoder().encode("an order"),
  approximateArrivalTimestamp: new Date("2026-11-28T09:00:00.001Z"),
  attempts: 3,
  firstFailedAt: new Date("2026-11-28T09:00:02.003Z"),
  reason: "attempts",
  error: { name: "Error", message: "no stock" },
};

describe("a letter as a text", () => {
  it("is whole up to the limit, and a pointer one byte above it", () => {
    const { bytes } = letterText(LETTER, Infinity);
    expect(decodeDeadLetter(letterText(LETTER, bytes).text)).toStrictEqual(LETTER);
    expect(decodeDeadLetter(letterText(LETTER, bytes - 1).text)).toStrictEqual({
      ...LETTER,
      data: undefined,
    });
  });

  const unit = fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code));

  it("counts bytes of UTF-8, and has no character that XML does not take", () => {
    fc.assert(
      fc.property(fc.string({ unit }), (partitionKey) => {
        const { text, bytes } = letterText({ ...LETTER, partitionKey }, Infinity);
        expect(bytes).toBe(new TextEncoder().encode(text).byteLength);
        expect(text).toMatch(/^[ -\ud7ff\ue000-\ufffd]*$/);
        expect(decodeDeadLetter(text).partitionKey).toBe(partitionKey);
      }),
    );
  });
});

describe("requests", () => {
  const items = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40 }) }));

  it("have all items in their order, none too many and none too large", () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 5 }), (all, most) => {
        const requests = [...requestsOf(all, { most, maxBytes: 30 })];
        expect(requests.flat()).toStrictEqual(all);
        for (const request of requests) {
          const bytes = request.reduce((sum, item) => sum + item.bytes, 0);
          expect(request.length).toBeGreaterThan(0);
          expect(request.length).toBeLessThanOrEqual(most);
          expect(bytes <= 30 || request.length === 1).toBe(true);
        }
      }),
    );
  });

  it("are no more than they have to be: the next item would not have fitted", () => {
    fc.assert(
      fc.property(items, (all) => {
        const requests = [...requestsOf(all, { most: 3, maxBytes: 30 })];
        for (const [index, request] of requests.slice(0, -1).entries()) {
          const bytes = request.reduce((sum, item) => sum + item.bytes, 0);
          const next = requests[index + 1]![0]!;
          expect(request.length === 3 || bytes + next.bytes > 30).toBe(true);
        }
      }),
    );
  });
});
