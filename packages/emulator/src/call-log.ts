import { inputShapes } from "./api/input-shapes.ts";
import type { OperationName } from "./api/operation-types.ts";
import type { Members, Shape } from "./api/shapes.ts";

/** A request that was received, successful or not. */
export interface Call {
  readonly operation: OperationName;
  /**
   * The request's members that the service's model knows, without `Data` and without values of a wrong type. Strings,
   * lists and maps are cut at the model's maximum length, strings at 2,048 characters at the latest.
   */
  readonly input: Readonly<Record<string, unknown>>;
  /** When it was received: the service's time, in milliseconds since the epoch. */
  readonly at: number;
}

/** Number of calls that are kept at least, unless they put many records. Older calls are only counted. */
const MIN_KEPT = 1000;
/** Number of records whose partition keys are kept at most, in addition to the latest call's. */
const MAX_RECORDS = 20_000;
/** Maximum length of a kept string, for policies and tokens; the model limits the others. */
const MAX_CHARACTERS = 2048;

/** The latest requests in order of arrival, and the number of requests of each operation. */
export class CallLog {
  #entries: Call[] = [];
  readonly #counts = new Map<OperationName, number>();
  #records = 0;

  /** The latest calls: at least 1,000, or fewer if they put many records. */
  get entries(): readonly Call[] {
    return this.#entries;
  }

  /** Number of calls of an operation since the start or the last `clear()`. */
  countOf(operation: OperationName): number {
    return this.#counts.get(operation) ?? 0;
  }

  /** Number of calls of each operation since the start or the last `clear()`. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  add(operation: OperationName, request: Readonly<Record<string, unknown>>, at: number): Call {
    const input = loggedMembers(inputShapes[operation], request);
    this.#counts.set(operation, this.countOf(operation) + 1);
    if (this.#entries.length >= 2 * MIN_KEPT) this.#keep(MIN_KEPT);
    this.#records += recordsIn(input);
    if (this.#records > MAX_RECORDS) this.#keep(this.#latest(MAX_RECORDS / 2 - recordsIn(input)));
    const call = { operation, input, at };
    this.#entries.push(call);
    return call;
  }

  clear(): void {
    this.#keep(0);
    this.#counts.clear();
  }

  /** How many of the latest calls together have put at most `records` records. */
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

/** Copies the members to keep, with a bound on their size. */
function loggedMembers(
  members: Members,
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const kept: Record<string, unknown> = {};
  for (const name in members) {
    const member = logged(members[name]!, value[name]);
    if (member !== undefined) kept[name] = member;
  }
  return kept;
}

function logged(shape: Shape, value: unknown): unknown {
  switch (shape.type) {
    case "blob":
      return undefined;
    case "structure":
      return isObject(value) ? loggedMembers(shape.members, value) : undefined;
    case "list":
      return Array.isArray(value)
        ? value.slice(0, shape.length[1]).map((entry) => logged(shape.member, entry))
        : undefined;
    case "map":
      return isObject(value)
        ? Object.fromEntries(
            Object.entries(value)
              .slice(0, shape.length[1])
              .map(([key, entry]) => [cut(key, shape.key), logged(shape.value, entry)]),
          )
        : undefined;
    default:
      if (typeof value === "string") return cut(value, shape);
      return typeof value === "number" || typeof value === "boolean" || value instanceof Date
        ? value
        : undefined;
  }
}

/** Cuts a string. Copied by way of bytes, because a slice would keep the memory of the whole string. */
function cut(text: string, shape: Shape): string {
  const bound = shape.type === "string" ? shape.length?.[1] : undefined;
  const most = Math.min(bound ?? MAX_CHARACTERS, MAX_CHARACTERS);
  return text.length <= most ? text : Buffer.from(text.slice(0, most)).toString();
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
