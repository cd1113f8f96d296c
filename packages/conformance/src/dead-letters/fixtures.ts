import { createHash } from "node:crypto";
import type {
  DeadLetter,
  DeadLetterListOptions,
  DeadLetterQueue,
  ReadableDeadLetterQueue,
} from "@kc/core";
import { deadLetterId } from "@kc/core/adapter";
import { expect } from "vitest";
import type { DeadLetterHarness } from "./harness.ts";

const FIRST = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898n;

/** A letter like core's; each `index` is a different record. */
export function letterAt(index: number, own: Partial<DeadLetter> = {}): DeadLetter {
  const key = {
    streamName: "orders",
    application: "billing",
    shardId: "shardId-000000000007",
    sequenceNumber: String(FIRST + BigInt(index)),
  };
  return {
    id: deadLetterId({ ...key, ...own }),
    ...key,
    partitionKey: `customer-${index}`,
    data: new TextEncoder().encode(`{"order":${index}}`),
    approximateArrivalTimestamp: new Date(Date.UTC(2026, 10, 28, 9, 0, 0, index % 1000)),
    attempts: 3,
    firstFailedAt: new Date(Date.UTC(2026, 10, 28, 9, 0, 1, index % 1000)),
    reason: "attempts",
    error: { name: "TypeError", message: "no such customer" },
    ...own,
  };
}

export function lettersUpTo(count: number): DeadLetter[] {
  return Array.from({ length: count }, (_, index) => letterAt(index));
}

/** Sends the letters. @param signal by default one that does not abort */
export function send(
  queue: DeadLetterQueue,
  letters: readonly DeadLetter[],
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  return queue.send(letters, { signal });
}

export async function everyPage(
  queue: ReadableDeadLetterQueue,
  options: DeadLetterListOptions,
): Promise<readonly (readonly DeadLetter[])[]> {
  const pages: (readonly DeadLetter[])[] = [];
  let after: string | undefined;
  do {
    const page = await queue.list(after === undefined ? options : { ...options, after });
    pages.push(page.letters);
    after = page.next;
    if (pages.length > 100) expect.fail("list() comes to no last page");
  } while (after !== undefined);
  return pages;
}

/** All letters of a readable queue, by `list`: for a harness's `letters()`. */
export async function allLetters(queue: ReadableDeadLetterQueue): Promise<readonly DeadLetter[]> {
  return (await everyPage(queue, { limit: 1000 })).flat();
}

/**
 * Fails unless these letters are stored, each once, or at least once if the queue stores repeats.
 */
export async function expectHeld(
  harness: DeadLetterHarness,
  expected: readonly DeadLetter[],
  what = "the letters that are held",
): Promise<void> {
  const held = await harness.letters();
  const letters = harness.keepsRepeats ? firstOfEach(held) : held;
  expect(sorted(letters).map(plain), what).toStrictEqual(sorted(expected).map(plain));
}

/** The queue as a readable one; `undefined` if it has none of these methods. */
export function readable(queue: DeadLetterQueue): ReadableDeadLetterQueue | undefined {
  return "list" in queue ? (queue as ReadableDeadLetterQueue) : undefined;
}

export function sorted(letters: readonly DeadLetter[]): readonly DeadLetter[] {
  return letters.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * For comparisons: converts data to text, since a Buffer is a Uint8Array too, and large data
 * produce long diffs.
 */
export function plain({ data, ...letter }: DeadLetter): object {
  return { ...letter, data: data === undefined ? "a pointer" : bytesAsText(data) };
}

function bytesAsText(data: Uint8Array): string {
  if (data.length > 1000) {
    return `${data.length} bytes with the hash ${createHash("sha1").update(data).digest("hex")}`;
  }
  return `bytes ${data.join(" ")}`;
}

function firstOfEach(letters: readonly DeadLetter[]): readonly DeadLetter[] {
  return [...new Map(letters.map((letter) => [letter.id, letter])).values()];
}
