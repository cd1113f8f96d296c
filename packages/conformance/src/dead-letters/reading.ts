import type { DeadLetter, ReadableDeadLetterQueue } from "@kc/core";
import { expect } from "vitest";
import type { ScenarioContext } from "../scenario.ts";
import {
  everyPage,
  expectHeld,
  letterAt,
  lettersUpTo,
  plain,
  readable,
  send,
  sorted,
} from "./fixtures.ts";
import type { DeadLetterHarness, DeadLetterScenario } from "./harness.ts";

const METHODS = ["list", "get", "remove"] as const;

/** A scenario for queues whose letters can be read; other queues pass it. */
function reading(
  key: string,
  title: string,
  run: (
    queue: ReadableDeadLetterQueue,
    context: ScenarioContext<DeadLetterHarness>,
  ) => Promise<void>,
): DeadLetterScenario {
  return {
    key,
    title,
    async run(context) {
      const queue = readable(await context.harness.open());
      if (queue !== undefined) await run(queue, context);
    },
  };
}

function expectLetters(
  pages: readonly (readonly DeadLetter[])[],
  expected: readonly DeadLetter[],
  what: string,
): void {
  expect(sorted(pages.flat()).map(plain), what).toStrictEqual(sorted(expected).map(plain));
}

export const readingScenarios: readonly DeadLetterScenario[] = [
  {
    key: "manifest.readable",
    title: "a queue has list, get and remove, or none of them",
    async run({ harness }) {
      const queue = await harness.open();
      const present = METHODS.filter((method) => method in queue);
      expect([[], [...METHODS]], `it has ${present.join(", ")}`).toContainEqual(present);
    },
  },
  reading("list.all", "every letter is on one page, none larger than its limit", async (queue) => {
    await send(queue, lettersUpTo(7));
    const pages = await everyPage(queue, { limit: 3 });
    expectLetters(pages, lettersUpTo(7), "pages of 3");
    expect(Math.max(...pages.map(({ length }) => length)), "the largest page").toBeLessThanOrEqual(
      3,
    );
    expectLetters(await everyPage(queue, {}), lettersUpTo(7), "without a limit");
  }),
  reading("list.many", "230 letters come without a limit of one's own", async (queue) => {
    await send(queue, lettersUpTo(230));
    const pages = await everyPage(queue, {});
    expectLetters(pages, lettersUpTo(230), "all pages");
    expect(Math.max(...pages.map(({ length }) => length)), "the default").toBeLessThanOrEqual(100);
  }),
  reading("list.none", "a queue without letters has one empty page", async (queue) => {
    expect(await queue.list()).toStrictEqual({ letters: [] });
  }),
  reading("list.application", "one application's letters are listed alone", async (queue) => {
    const others = [7, 8, 9].map((index) => letterAt(index, { application: "billing-2" }));
    await send(queue, [...lettersUpTo(4), ...others]);
    const pages = await everyPage(queue, { application: "billing", limit: 2 });
    expectLetters(pages, lettersUpTo(4), "billing's");
    expectLetters(await everyPage(queue, { application: "bill" }), [], "a name's beginning");
    expectLetters(await everyPage(queue, {}), [...lettersUpTo(4), ...others], "all");
  }),
  reading("get.one", "a letter is found by its id, by every handle", async (queue, { harness }) => {
    await send(queue, lettersUpTo(3));
    const other = readable(await harness.open())!;
    for (const letter of lettersUpTo(3)) {
      const found = await other.get(letter.id);
      expect(found && plain(found)).toStrictEqual(plain(letter));
    }
    expect(await other.get(letterAt(3).id), "an id that is not there").toBeUndefined();
  }),
  reading("remove.some", "removed letters are gone, and only these", async (queue, { harness }) => {
    await send(queue, lettersUpTo(120));
    const [gone, left] = [lettersUpTo(120).slice(0, 110), lettersUpTo(120).slice(110)];
    await queue.remove(gone.map(({ id }) => id));
    await expectHeld(harness, left, "what is left");
    expectLetters(await everyPage(queue, {}), left, "what is listed");
    expect(await queue.get(gone[0]!.id), "a letter that is gone").toBeUndefined();
  }),
  reading("remove.unknown", "ids that are not there are ignored", async (queue, { harness }) => {
    await send(queue, lettersUpTo(2));
    const [first] = lettersUpTo(1);
    await queue.remove([]);
    await queue.remove([first!.id, letterAt(9).id]);
    await expectHeld(harness, [letterAt(1)], "the one beside an id that is not there");
    await expect(queue.remove([first!.id]), "once more").resolves.toBeUndefined();
  }),
  reading(
    "remove.again",
    "a letter that was removed can come again",
    async (queue, { harness }) => {
      await send(queue, [letterAt(0)]);
      await queue.remove([letterAt(0).id]);
      await send(queue, [letterAt(0)]);
      await expectHeld(harness, [letterAt(0)]);
    },
  ),
];
