import fc from "fast-check";
import { expect, test } from "vitest";
import { textOf } from "../src/kinesis/short-text.ts";

test("a text is what Node decodes, of whatever bytes and wherever they lie", () => {
  const ascii = fc.integer({ min: 0, max: 127 });
  const bytes = fc.array(fc.oneof({ weight: 20, arbitrary: ascii }, fc.nat(255)), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(bytes, bytes, bytes, (before, text, behind) => {
      const all = Buffer.from([...before, ...text, ...behind]);
      const end = before.length + text.length;
      expect(textOf(all, before.length, end)).toBe(all.toString("utf8", before.length, end));
    }),
    { numRuns: 1000 },
  );
  for (let length = 0; length < 20; length += 1) {
    const all = Buffer.from("abcdefghijklmnopqrstuvwxyz");
    expect(textOf(all, 3, 3 + length)).toBe(all.toString("latin1", 3, 3 + length));
  }
});
