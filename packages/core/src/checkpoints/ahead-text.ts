/** Encodes `Ahead` as the compact text that a checkpoint contains. Pure. */
import { Ahead, type CountedRun, type CountedRuns, type Interval, type Run } from "./ahead.ts";
import type { Position } from "./position.ts";

/** Longer texts were not written by this library. */
const MAX_LENGTH = 65_536;
/** Fixed widths, so that of two texts for one position the one with more done records compares greater. */
const COUNT_DIGITS = 5;
const SHIFT_DIGITS = 2;
const MAX_COUNT = 36 ** COUNT_DIGITS - 1;
/** More than the bits of the largest sequence number that a store can keep. */
const MAX_BITS = 512;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT =
  /^([0-9a-z]{5})([0-9a-z]{2})([0-9a-z]{1,99})\.([\w-]+)(?:\.([\w-]*))?(?:\.([\w-]+))?~[\w-]{5}$/;

/**
 * Encodes as many runs as fit; the furthest are left out first. Returns undefined if nothing is done ahead
 * of the watermark or nothing fits.
 * @param runs in order, after the watermark
 */
export function encodeAhead(
  watermark: Position,
  { runs, lone }: CountedRuns,
  maxBytes: number,
): string | undefined {
  const ends = runs.flatMap(({ done }, index) => (done === false ? [] : [index + 1]));
  const from = BigInt(watermark.sequenceNumber);
  const textOf = (end: number): string => {
    const { last } = runs[end - 1]!;
    const text = encode(
      from,
      runs.slice(0, end),
      lone.filter(({ first }) => first <= last),
    );
    return `${text}~${digestOf(watermark, text)}`;
  };
  const whole = ends.length === 0 ? undefined : textOf(ends.at(-1)!);
  if (whole === undefined || whole.length <= maxBytes) return whole;
  let [fits, tooMany] = [0, ends.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (textOf(ends[middle - 1]!).length <= maxBytes) fits = middle;
    else tooMany = middle;
  }
  return fits === 0 ? undefined : textOf(ends[fits - 1]!);
}

/**
 * The format: the number of done records; by how many bits numbers are shifted; the distance of the last done
 * record from the watermark; then the borders between done and other runs, as differences of shifted numbers.
 * An aggregate that is done in part is a run of its own, encoded as one that is not done; the next section
 * lists which of its user records are done. The last section lists lone records with their whole numbers.
 */
function encode(from: bigint, runs: readonly CountedRun[], lone: readonly CountedRun[]): string {
  const shift = shiftOf(from, runs);
  const count = [...runs, ...lone].reduce((sum, run) => sum + run.count, 0);
  let [at, isDone, undone, lastPart] = [from >> shift, false, 0, 0];
  let [borders, parts, afterPart] = ["", "", false];
  const addBorder = (first: bigint): void => {
    borders += digitsOf((first >> shift) - at);
    at = first >> shift;
    isDone = !isDone;
    if (!isDone) undone += 1;
  };
  for (const { first, done } of runs) {
    const isPart = typeof done !== "boolean";
    if (isDone !== (done === true)) addBorder(first);
    else if (isPart || (afterPart && !done)) {
      addBorder(first);
      addBorder(first);
    }
    if (isPart) {
      parts += digitsOf(BigInt(undone - lastPart)) + partDigits(done);
      lastPart = undone;
    }
    afterPart = isPart;
  }
  const head =
    base36(Math.min(count, MAX_COUNT), COUNT_DIGITS) + base36(Number(shift), SHIFT_DIGITS);
  const furthest = (runs.at(-1)!.last - from).toString(36);
  const [partsAfter, loneAfter] = [parts === "" ? "" : `.${parts}`, loneDigits(from, lone)];
  return `${head}${furthest}.${borders}${loneAfter === "" ? partsAfter : `.${parts}.${loneAfter}`}`;
}

/**
 * The most bits by which numbers can be shifted so that each border still separates the records on its two
 * sides. The numbers of one shard lie far apart.
 */
function shiftOf(from: bigint, runs: readonly Run[]): bigint {
  let shift = MAX_BITS;
  let before: Run = { first: from, last: from, done: false };
  for (const run of runs) {
    const isBorder = run.done !== before.done || typeof run.done === "object";
    // The aggregate that contains the watermark has no record before it.
    if (isBorder && run.first !== before.last) {
      shift = Math.min(shift, (run.first ^ before.last).toString(2).length - 1);
    }
    before = run;
  }
  return BigInt(shift);
}

/** @returns undefined if the text was damaged or belongs to another watermark */
export function decodeAhead(watermark: Position, text: unknown): Ahead | undefined {
  if (typeof text !== "string" || text.length > MAX_LENGTH) return undefined;
  if (text.slice(-5) !== digestOf(watermark, text.slice(0, -6))) return undefined;
  const [, count, shiftDigits, furthest, borders, parts = "", single = ""] = TEXT.exec(text) ?? [];
  const shift = parseInt(shiftDigits ?? "", 36);
  const deltas = numbersOf(borders ?? "");
  const done = intervalsOf(numbersOf(parts));
  const lone = intervalsOf(numbersOf(single));
  if (!(shift <= MAX_BITS) || deltas === undefined || done === undefined || lone === undefined) {
    return undefined;
  }
  const from = BigInt(watermark.sequenceNumber);
  const end = from + bigint36(furthest!);
  const runs: Run[] = [];
  let [first, at] = [from, from >> BigInt(shift)];
  for (let index = 0; index <= deltas.length; index += 1) {
    const delta = deltas[index];
    if (delta !== undefined) at += delta;
    const next = delta === undefined ? end + 1n : at << BigInt(shift);
    const isDone = index % 2 === 1 || (done.get(BigInt(index >> 1)) ?? false);
    const run = { first, last: next - 1n, done: isDone };
    if (run.last > end) return undefined;
    if (run.last >= run.first) runs.push(run);
    if (next > first) first = next;
  }
  const last = runs.at(-1);
  return last === undefined || last.done === false
    ? undefined
    : new Ahead(parseInt(count!, 36), runs, loneRuns(from, lone));
}

/** A checksum of 30 bits (FNV-1a) over the text and its position, to detect damaged or stale texts. */
function digestOf({ sequenceNumber, subSequenceNumber: sub }: Position, text: string): string {
  let hash = 0x811c9dc5;
  for (const character of `${sequenceNumber}.${sub ?? ""}.${text}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  let digest = "";
  for (let bits = 0; bits < 30; bits += 6) digest += DIGITS[(hash >>> bits) & 63]!;
  return digest;
}

/** The number of intervals, then for each the gap before it and its length. */
function partDigits(intervals: readonly Interval[]): string {
  let text = digitsOf(BigInt(intervals.length));
  let next = 0;
  for (const { first, last } of intervals) {
    text += digitsOf(BigInt(first - next)) + digitsOf(BigInt(last - first));
    next = last + 1;
  }
  return text;
}

/** For each lone record its distance from the one before it, and its done intervals; none = all of it is done. */
function loneDigits(from: bigint, lone: readonly Run[]): string {
  let [at, text] = [from, ""];
  for (const { first, done } of lone) {
    text += digitsOf(first - at) + partDigits(typeof done === "object" ? done : []);
    at = first;
  }
  return text;
}

function loneRuns(
  from: bigint,
  intervals: ReadonlyMap<bigint, readonly Interval[]>,
): readonly Run[] {
  return [...intervals].map(([behind, of]) => {
    const number = from + behind;
    return { first: number, last: number, done: of.length === 0 || of };
  });
}

/**
 * The intervals by key: for runs the index among the runs that are not done, for lone records the distance
 * from the watermark.
 */
function intervalsOf(
  numbers: readonly bigint[] | undefined,
): ReadonlyMap<bigint, readonly Interval[]> | undefined {
  if (numbers === undefined) return undefined;
  const parts = new Map<bigint, readonly Interval[]>();
  let [place, run] = [0, 0n];
  const read = (): number => Number(numbers[place++] ?? NaN);
  while (place < numbers.length) {
    run += numbers[place++]!;
    const length = read();
    if (!(length <= numbers.length)) return undefined;
    const intervals: Interval[] = [];
    let next = 0;
    for (let i = 0; i < length; i += 1) {
      const first = next + read();
      const last = first + read();
      if (!Number.isSafeInteger(last)) return undefined;
      intervals.push({ first, last });
      next = last + 1;
    }
    parts.set(run, intervals);
  }
  return parts;
}

/** Five bits per digit, lowest first. The sixth bit is set if another digit follows. */
function digitsOf(number: bigint): string {
  let [rest, text] = [number, ""];
  while (rest >= 32n) {
    text += DIGITS[32 + Number(rest & 31n)]!;
    rest >>= 5n;
  }
  return text + DIGITS[Number(rest)]!;
}

function numbersOf(text: string): readonly bigint[] | undefined {
  const numbers: bigint[] = [];
  let [number, bits] = [0n, 0n];
  for (const digit of text) {
    const value = DIGITS.indexOf(digit);
    number |= BigInt(value & 31) << bits;
    bits += 5n;
    if (bits > MAX_BITS) return undefined;
    if (value >= 32) continue;
    numbers.push(number);
    [number, bits] = [0n, 0n];
  }
  return bits === 0n ? numbers : undefined;
}

const base36 = (number: number, digits: number): string =>
  number.toString(36).padStart(digits, "0");

function bigint36(text: string): bigint {
  let number = 0n;
  for (const digit of text) number = number * 36n + BigInt(parseInt(digit, 36));
  return number;
}
