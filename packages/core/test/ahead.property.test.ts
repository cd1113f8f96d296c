import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ahead } from "../src/checkpoints/ahead.ts";
import { decodeAhead, encodeAhead } from "../src/checkpoints/ahead-text.ts";
import { Runs } from "../src/checkpoints/runs.ts";

/** A stream record: how far behind the one before it, and which of its user records are done. */
interface Put {
  readonly gap: bigint;
  /** One = an ordinary record. */
  readonly users: readonly boolean[];
}

interface Known {
  readonly sequenceNumber: string;
  /** Undefined = an ordinary record. */
  readonly sub: number | undefined;
  /** Is it the last of its stream record? */
  readonly ends: boolean;
  readonly done: boolean;
}

const NUMBER = "49590338271490256608559692538361571095921575989136588898";
const WATERMARK = { sequenceNumber: NUMBER };

const gaps = fc.oneof(
  fc.bigInt(1n, 3n),
  fc.bigInt(1n, 5000n).map((steps) => (steps << 80n) + 17n),
  fc.bigInt(1n, 1n << 100n),
);
const users = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.boolean(), { minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }) },
);
const puts: fc.Arbitrary<readonly Put[]> = fc.array(fc.record({ gap: gaps, users }), {
  minLength: 1,
  maxLength: 60,
});

function recordsOf(all: readonly Put[]): readonly Known[] {
  let number = BigInt(NUMBER);
  return all.flatMap(({ gap, users: of }) => {
    number += gap;
    return of.map((done, i) => ({
      sequenceNumber: String(number),
      sub: of.length === 1 ? undefined : i,
      ends: i === of.length - 1,
      done,
    }));
  });
}

function textOf(known: readonly Known[], maxBytes: number, earlier?: Ahead): string | undefined {
  const runs = new Runs();
  for (const { sequenceNumber, sub, ends, done } of known) {
    runs.add(sequenceNumber, sub, ends, done);
  }
  const last = known.at(-1)?.sequenceNumber ?? NUMBER;
  return encodeAhead(WATERMARK, runs.end(WATERMARK, last, earlier, 0), maxBytes);
}

test("what is said to be done beyond the watermark is what is done, record by record", () => {
  fc.assert(
    fc.property(puts, (all) => {
      const known = recordsOf(all);
      const text = textOf(known, Infinity);
      expect(text !== undefined).toBe(known.some(({ done }) => done));
      if (text === undefined) return;
      expect(text).toMatch(/^[\w.~-]+$/);
      const ahead = decodeAhead(WATERMARK, text)!;
      expect(ahead.count).toBe(known.filter(({ done }) => done).length);
      for (const each of known) {
        const said = ahead.includes(each.sequenceNumber, each.sub);
        expect([each, said]).toEqual([each, each.done]);
      }
    }),
  );
});

test("a record that is not done is never said to be: however aggregates are taken apart, and whatever does not fit", () => {
  fc.assert(
    fc.property(puts, fc.nat({ max: 200 }), (all, maxBytes) => {
      const known = recordsOf(all);
      const text = textOf(known, maxBytes);
      if (text === undefined) return;
      expect(text.length).toBeLessThanOrEqual(maxBytes);
      const ahead = decodeAhead(WATERMARK, text)!;
      const unfinished = new Set(known.flatMap((each) => (each.done ? [] : [each.sequenceNumber])));
      for (const { sequenceNumber, sub, done } of known) {
        if (!done) expect(ahead.includes(sequenceNumber, sub)).toBe(false);
        // As a whole, when it was in parts; in parts, when it was whole.
        if (unfinished.has(sequenceNumber)) {
          expect(ahead.includes(sequenceNumber, undefined)).toBe(false);
        }
        const isAggregate = known.some(
          (each) => each.sequenceNumber === sequenceNumber && each.sub !== undefined,
        );
        if (!done && !isAggregate) expect(ahead.includes(sequenceNumber, 3)).toBe(false);
      }
      const beyond = BigInt(known.at(-1)!.sequenceNumber) + 1n;
      expect(ahead.includes(String(beyond), undefined)).toBe(false);
    }),
  );
});

test("more records done make a later text, and each text fits its bound", () => {
  fc.assert(
    fc.property(puts, fc.nat(), (all, pick) => {
      const known = recordsOf(all).map((each) => ({ ...each, sub: undefined, ends: true }));
      const numbers = new Set<string>();
      const whole = known.filter(
        ({ sequenceNumber }) => !numbers.has(sequenceNumber) && numbers.add(sequenceNumber),
      );
      const open = whole.filter(({ done }) => !done);
      const next = open[pick % Math.max(1, open.length)];
      if (next === undefined) return;
      const before = textOf(whole, Infinity) ?? "";
      const after = textOf(
        whole.map((each) => (each === next ? { ...each, done: true } : each)),
        Infinity,
      )!;
      expect(before < after).toBe(true);
    }),
  );
  const many = Array.from({ length: 100 }, () => ({ gap: 7n, users: [false] }));
  let before = "";
  for (let done = 1; done < 100; done += 1) {
    const known = recordsOf(many).map((each, i) => ({ ...each, done: i > 0 && i <= done }));
    const text = textOf(known, Infinity)!;
    expect(before < text).toBe(true);
    before = text;
  }
});

test("what an earlier checkpoint said stands until its records are met, however often the shard is resumed", () => {
  const stop = fc.record({
    met: fc.nat({ max: 100 }),
    finished: fc.array(fc.nat(), { maxLength: 20 }),
  });
  fc.assert(
    fc.property(puts, fc.array(stop, { maxLength: 6 }), (all, stops) => {
      const known = recordsOf(all).map((each) => ({ ...each }));
      let ahead = decodeAhead(WATERMARK, textOf(known, Infinity));
      for (const { met: count, finished } of stops) {
        // So many are met: those that were done are passed, others are in flight, or finish.
        const met = known.slice(0, count % (known.length + 1));
        for (const pick of finished) if (met.length > 0) met[pick % met.length]!.done = true;
        const before = ahead;
        ahead = decodeAhead(WATERMARK, textOf(met, Infinity, before));
        for (const each of known) {
          const said = ahead?.includes(each.sequenceNumber, each.sub) ?? false;
          if (said) expect(each.done).toBe(true);
          if (before?.includes(each.sequenceNumber, each.sub))
            expect([each, said]).toEqual([each, true]);
          if (met.includes(each)) expect([each, said]).toEqual([each, each.done]);
        }
      }
    }),
  );
});

test("a damaged text says nothing, and so does one that belongs to another position", () => {
  const sound = textOf(
    recordsOf([
      { gap: 5n, users: [false] },
      { gap: 9n, users: [true, false] },
    ]),
    99,
  )!;
  expect(decodeAhead(WATERMARK, sound)).toBeDefined();
  for (let i = 1n; i <= 40n; i += 1n) {
    const sequenceNumber = String(BigInt(NUMBER) + i);
    expect(decodeAhead({ sequenceNumber }, sound)).toBeUndefined();
  }
  expect(decodeAhead({ ...WATERMARK, subSequenceNumber: 0 }, sound)).toBeUndefined();
  const [head, tail] = [sound.slice(0, 9), sound.slice(10)];
  const others = [undefined, null, 7, {}, "", "x", `${sound}!`, `${head}?${tail}`, head + tail];
  for (const text of [...others, "A".repeat(70_000)]) {
    expect(decodeAhead(WATERMARK, text)).toBeUndefined();
  }
  fc.assert(
    fc.property(
      fc.nat({ max: sound.length - 1 }),
      fc.stringMatching(/^[\w.~-]$/),
      (at, character) => {
        const text = sound.slice(0, at) + character + sound.slice(at + 1);
        if (text !== sound) expect(decodeAhead(WATERMARK, text)).toBeUndefined();
      },
    ),
  );
});

test("of a shard as Kinesis numbers it, a thousand records in flight take about a character each", () => {
  const known = Array.from({ length: 2000 }, (_, i) => ({
    sequenceNumber: String(BigInt(NUMBER) + (BigInt(3 * i + 1) << 80n) + BigInt(i * 977)),
    sub: undefined,
    ends: true,
    done: i % 2 === 1,
  }));
  const text = textOf(known, Infinity)!;
  expect(text.length).toBeLessThan(2100);
  expect(textOf(known, 600)!.length).toBeGreaterThan(580);
});
