import type { OperationName } from "./api/operation-types.ts";

/** A request that was made, whatever became of it. */
export interface Call {
  readonly operation: OperationName;
  /** The request's members; `Data` is left out. */
  readonly input: Readonly<Record<string, unknown>>;
  /** When it was made: the service's time, in milliseconds since the epoch. */
  readonly at: number;
}

/** So many calls are kept at least; older ones are only counted. */
const KEPT = 1000;

/** The latest requests in order of arrival, and how many there were of each operation. */
export class CallLog {
  #entries: Call[] = [];
  readonly #counts = new Map<OperationName, number>();

  /** The latest calls, at least 1,000 if there were so many. */
  get entries(): readonly Call[] {
    return this.#entries;
  }

  /** All calls of an operation since the start or the last `clear()`. */
  countOf(operation: OperationName): number {
    return this.#counts.get(operation) ?? 0;
  }

  add(operation: OperationName, input: Readonly<Record<string, unknown>>, at: number): Call {
    this.#counts.set(operation, this.countOf(operation) + 1);
    if (this.#entries.length >= 2 * KEPT) this.#entries = this.#entries.slice(-KEPT);
    const call = { operation, input: withoutData(input), at };
    this.#entries.push(call);
    return call;
  }

  clear(): void {
    this.#entries = [];
    this.#counts.clear();
  }
}

/** Payloads would keep the memory of a thousand requests. */
function withoutData(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { Data: _, ...rest } = input;
  const records = rest["Records"];
  return Array.isArray(records) ? { ...rest, Records: records.map(withoutData) } : rest;
}
