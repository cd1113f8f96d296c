import { expect } from "vitest";
import { expectHeld, letterAt, lettersUpTo, send } from "./fixtures.ts";
import type { DeadLetterScenario } from "./harness.ts";

const MIB = 1024 * 1024;
const LARGEST_RECORD = 10 * MIB;

/** Records may hold anything. */
const ODD_TEXTS = [
  "",
  " ",
  "a|b,c",
  `"quoted"`,
  "back\\slash",
  "line\nbreak",
  "注文🦊",
  "__proto__",
];

export const sendingScenarios: readonly DeadLetterScenario[] = [
  {
    key: "harness.isolated",
    title: "two harnesses share nothing",
    async run({ harness, make }) {
      await send(await harness.open(), [letterAt(0)]);
      await expectHeld(await make(), [], "the letters of another harness");
      await expectHeld(harness, [letterAt(0)]);
    },
  },
  {
    key: "send.whole",
    title: "a letter is held with all that core gives it",
    async run({ harness }) {
      const letter = letterAt(0, {
        streamARN: "arn:aws:kinesis:eu-central-1:111122223333:stream/orders",
        subSequenceNumber: 0,
        retainedUntil: new Date("2026-11-29T09:00:00.001Z"),
        attempts: 0,
        reason: "age",
        error: { name: "Error", message: "too old", code: "E_AGE" },
      });
      await send(await harness.open(), [letter]);
      await expectHeld(harness, [letter]);
    },
  },
  {
    key: "send.bare",
    title: "what a letter does not have stays absent",
    async run({ harness }) {
      const { partitionKey: _, ...letter } = letterAt(0);
      await send(await harness.open(), [letter]);
      await expectHeld(harness, [letter]);
    },
  },
  {
    key: "send.odd",
    title: "keys, messages and data hold any text and any byte",
    async run({ harness }) {
      const texts = ODD_TEXTS.map((text, index) =>
        letterAt(index, {
          partitionKey: text,
          application: text === "" ? "billing" : text,
          data: new TextEncoder().encode(text),
          error: { name: "Error", message: text },
        }),
      );
      const bytes = letterAt(ODD_TEXTS.length, {
        data: Uint8Array.from({ length: 256 }, (_, i) => i),
      });
      await send(await harness.open(), [...texts, bytes]);
      await expectHeld(harness, [...texts, bytes]);
    },
  },
  {
    key: "send.empty-data",
    title: "a record without a byte is no pointer",
    async run({ harness }) {
      const letter = letterAt(0, { data: new Uint8Array(0) });
      await send(await harness.open(), [letter]);
      await expectHeld(harness, [letter]);
    },
  },
  {
    key: "send.view",
    title:
      "data that are a part of a larger buffer are held as that part, and may change afterwards",
    async run({ harness }) {
      const page = new Uint8Array(64).fill(7);
      const letter = letterAt(0, { data: page.subarray(8, 16) });
      await send(await harness.open(), [letter]);
      page.fill(0);
      await expectHeld(harness, [letterAt(0, { data: new Uint8Array(8).fill(7) })]);
    },
  },
  {
    key: "send.none",
    title: "no letters are acknowledged too",
    async run({ harness }) {
      await expect(send(await harness.open(), [])).resolves.toBeUndefined();
      await expectHeld(harness, []);
    },
  },
  {
    key: "send.many",
    title: "250 letters of one call are held, each once",
    async run({ harness }) {
      await send(await harness.open(), lettersUpTo(250));
      await expectHeld(harness, lettersUpTo(250));
    },
  },
  {
    key: "send.heavy",
    title: "letters that are larger together than any request are held, each once",
    async run({ harness }) {
      const bytes = Math.min(250_000, harness.maxDataBytes ?? Infinity);
      const letters = lettersUpTo(50).map((letter, index) => ({
        ...letter,
        data: new Uint8Array(bytes).fill(index),
      }));
      await send(await harness.open(), letters);
      await expectHeld(harness, letters);
    },
  },
  {
    key: "send.large",
    title: "a letter is held whole up to its limit, and above it as a pointer, beside small ones",
    async run({ harness }) {
      const most = Math.min(harness.maxDataBytes ?? Infinity, LARGEST_RECORD);
      const letters = [
        letterAt(0),
        letterAt(1, { data: new Uint8Array(most).fill(1) }),
        letterAt(2, { data: new Uint8Array(LARGEST_RECORD).fill(2) }),
        letterAt(3),
      ];
      await send(await harness.open(), letters);
      const [, , largest] = letters;
      const held = most < LARGEST_RECORD ? { ...largest!, data: undefined } : largest!;
      await expectHeld(harness, letters.with(2, held));
    },
  },
  {
    key: "send.pointer",
    title: "a letter that comes without data is a pointer, and says until when it leads to them",
    async run({ harness }) {
      const retainedUntil = new Date("2026-12-05T09:00:00Z");
      const letter = letterAt(0, { data: undefined, retainedUntil });
      await send(await harness.open(), [letter]);
      await expectHeld(harness, [letter]);
    },
  },
  {
    key: "repeat.held",
    title: "letters that are held already are acknowledged, and are held once",
    async run({ harness }) {
      await send(await harness.open(), lettersUpTo(3));
      await send(await harness.open(), lettersUpTo(5));
      await expectHeld(harness, lettersUpTo(5));
    },
  },
  {
    key: "repeat.one-call",
    title: "a letter that comes twice in one call is held once",
    async run({ harness }) {
      await send(await harness.open(), [...lettersUpTo(3), ...lettersUpTo(2)]);
      await expectHeld(harness, lettersUpTo(3));
    },
  },
  {
    key: "repeat.at-once",
    title: "two workers that send the same letters at once are both acknowledged",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      await Promise.all([
        send(one, lettersUpTo(20)),
        send(other, lettersUpTo(20).toReversed()),
        send(one, lettersUpTo(20)),
      ]);
      await expectHeld(harness, lettersUpTo(20));
    },
  },
];
