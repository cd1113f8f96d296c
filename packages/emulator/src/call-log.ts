import type { OperationName } from "./api/operation-types.ts";

/** A request that was made, whatever became of it. */
export interface Call {
  readonly operation: OperationName;
  /** The request's members; `Data` is left out. */
  readonly input: Readonly<Record<string, unknown>>;
  /** When it was made: the service's time, in milliseconds since the epoch. */
  readonly at: number;
}

/** So many calls are kept at least, unless they put many records; older ones are only counted. */
const KEPT = 1000;
/** So many records' partition keys are kept at most, beside those of the latest call. */
const MOST_RECORDS = 20_000;

/** The latest requests in order of arrival, and how many there were of each operation. */
export class CallLog {
  #entries: Call[] = [];
  readonly #counts = new Map<OperationName, number>();
  #records = 0;

  /** The latest calls: at least 1,000 if there were so many, fewer after those that put many records. */
  get entries(): readonly Call[] {
    return this.#entries;
  }

  /** All calls of an operation since the start or the last `clear()`. */
  countOf(operation: OperationName): number {
    return this.#counts.get(operation) ?? 0;
  }

  /** How often each operation was called since the start or the last `clear()`. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  add(operation: OperationName, input: Readonly<Record<string, unknown>>, at: number): Call {
    this.#counts.set(operation, this.countOf(operation) + 1);
    if (this.#entries.length >= 2 * KEPT) this.#keep(KEPT);
    this.#records += recordsIn(input);
    if (this.#records > MOST_RECORDS) this.#keep(this.#latest(MOST_RECORDS / 2 - recordsIn(input)));
    const call = { operation, input: withoutData(input), at };
    this.#entries.push(call);
    return call;
  }

  clear(): void {
    this.#keep(0);
    this.#counts.clear();
  }

  /** How many of the latest calls have put no more than so many records. */
  #latest(records: number): number {
    let left = records;
    const calls = this.#entries.toReversed();
    const first = calls.findIndex(({ input }) => (left -= recordsIn(input)) < 0);
    return first < 0 ? calls.length : first;
  }

  #keep(calls: number): void {
    const from = this.#entries.length - calls;
    for (const { input } of this.#entries.slice(0, from)) this.#records -= recordsIn(input);
    this.#entries = this.#entries.slice(from);
  }
}

function recordsIn(input: Readonly<Record<string, unknown>>): number {
  const records = input["Records"];
  return Array.isArray(records) ? records.length : 0;
}

/** Payloads would keep the memory of a thousand requests. */
function withoutData(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { Data: _, ...rest } = input;
  const records = rest["Records"];
  return Array.isArray(records) ? { ...rest, Records: records.map(withoutData) } : rest;
}
