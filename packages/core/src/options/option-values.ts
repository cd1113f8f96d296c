import { inspect } from "node:util";
import { MAX_TIMER_MS } from "../clock.ts";
import { ConfigError } from "../errors.ts";

/** Inclusive bounds of a number. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** @throws ConfigError that names the option, unless the value is true or false */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new ConfigError(name, `must be true or false, not ${shown(value)}`);
}

/**
 * @param unit what is counted, for the message: `milliseconds`
 * @throws ConfigError that names the option, unless the value is a whole number within the bounds
 */
export function checkWholeNumber(
  name: string,
  value: unknown,
  { min, max }: Bounds,
  unit?: string,
): number {
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) {
    return Number(value);
  }
  const range = max === Infinity ? `of at min ${min}` : `from ${min} to ${max}`;
  const what = `a whole number${unit === undefined ? "" : ` of ${unit}`}`;
  throw new ConfigError(name, `must be ${what} ${range}, not ${shown(value)}`);
}

/**
 * Checks a duration in milliseconds, which may be fractional.
 * @throws ConfigError that names the option, unless a timer can wait that long
 */
export function checkDuration(name: string, value: unknown, min = 0): number {
  if (typeof value === "number" && value >= min && value <= MAX_TIMER_MS) return value;
  throw new ConfigError(
    name,
    `must be a number of milliseconds from ${min} to ${MAX_TIMER_MS}, not ${shown(value)}`,
  );
}

/** @throws ConfigError that names the option, unless the value is one of `values` */
export function checkOneOf<Value extends string>(
  name: string,
  value: unknown,
  values: readonly Value[],
): Value {
  const found = values.find((each) => each === value);
  if (found !== undefined) return found;
  const list = values.map((each) => `"${each}"`).join(", ");
  throw new ConfigError(name, `must be one of ${list}, not ${shown(value)}`);
}

/** @throws ConfigError that names the option, unless the value is a function */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new ConfigError(name, `must be a function, not ${shown(value)}`);
}

/**
 * @param what the expected value, for the message: `a pool of pg`
 * @throws ConfigError that names the option and the missing method
 */
export function checkMethods(
  name: string,
  value: unknown,
  methods: readonly string[],
  what: string,
): void {
  const missing = methods.find((method) => typeof memberOf(value, method) !== "function");
  if (missing === undefined) return;
  throw new ConfigError(name, `must be ${what}; the method ${missing} is missing`);
}

function memberOf(value: unknown, name: string): unknown {
  if (value === undefined || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** The value as text, for messages. Members of objects are not shown: they may hold a secret. */
export function shown(value: unknown): string {
  return inspect(value, { depth: -1, breakLength: Infinity, maxStringLength: 40 });
}
