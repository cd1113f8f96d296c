import { inputShapes } from "../../src/api/input-shapes.ts";
import type { OperationName } from "../../src/api/operation-types.ts";
import type { Members, Shape } from "../../src/api/shapes.ts";
import type { TestWire } from "./wires.ts";

/** What the service's model says of a request; times are in milliseconds. */
export type Judgement =
  | { readonly verdict: "SerializationException" }
  /** The members that break a rule, once for each rule. */
  | { readonly verdict: "ValidationException"; readonly broken: readonly string[] }
  | { readonly verdict: "allowed"; readonly input: Readonly<Record<string, unknown>> };

/** Judges a decoded request by the table of constraints, apart from the code that reads requests. */
export function judge(operation: OperationName, request: unknown, wire: TestWire): Judgement {
  const judging = new Judging(wire);
  const input = judging.structure(inputShapes[operation], request, "");
  if (judging.isUnreadable) return { verdict: "SerializationException" };
  const { broken } = judging;
  if (broken.length > 0) return { verdict: "ValidationException", broken };
  return { verdict: "allowed", input };
}

class Judging {
  isUnreadable = false;
  readonly broken: string[] = [];
  readonly #wire: TestWire;

  constructor(wire: TestWire) {
    this.#wire = wire;
  }

  structure(members: Members, value: unknown, path: string): Record<string, unknown> {
    if (!this.#wire.isStructure(value)) return this.#unreadable({});
    const result: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(members)) {
      const given = value[name] ?? undefined;
      const at = path + name[0]!.toLowerCase() + name.slice(1);
      if (given !== undefined) result[name] = this.#member(shape, given, at);
      else if (shape.required === true) this.broken.push(at);
    }
    return result;
  }

  #member(shape: Shape, value: unknown, at: string): unknown {
    const wire = this.#wire;
    switch (shape.type) {
      case "string":
      case "enum":
        if (typeof value !== "string") return this.#unreadable(value);
        if (shape.type === "enum") this.#rule(at, shape.values.includes(value));
        else {
          this.#rule(at, isWithin(value.length, shape.length));
          // The pattern of what is too long is not looked at: an ARN's takes the square of its length.
          const isLong = value.length > (shape.length?.[1] ?? Infinity);
          this.#rule(at, isLong || matches(value, shape.pattern));
        }
        return value;
      case "integer":
        // Of 32 bits; NaN is within no bounds.
        if (typeof value !== "number" || !isWithin(value, [-(2 ** 31), 2 ** 31]))
          return this.#unreadable(value);
        this.#rule(at, isWithin(Math.floor(value), shape.range));
        return Math.floor(value);
      case "boolean":
        return typeof value === "boolean" ? value : this.#unreadable(value);
      case "blob": {
        const bytes = wire.blobOf(value);
        if (bytes === undefined) return this.#unreadable(value);
        this.#rule(at, isWithin(bytes.length, shape.length));
        return bytes;
      }
      case "timestamp":
        return wire.timeOf(value) ?? this.#unreadable(value);
      case "list":
        if (!Array.isArray(value)) return this.#unreadable(value);
        this.#rule(at, isWithin(value.length, shape.length));
        return value.map((one, i) => this.#member(shape.member, one, `${at}.${i + 1}.member`));
      case "map": {
        if (!wire.isStructure(value)) return this.#unreadable(value);
        const entries = Object.entries(value);
        this.#rule(at, isWithin(entries.length, shape.length));
        for (const [key] of entries) this.#member(shape.key, key, `${at}.key`);
        return Object.fromEntries(
          entries.map(([key, one]) => [key, this.#member(shape.value, one, `${at}.${key}.value`)]),
        );
      }
      case "structure":
        return this.structure(shape.members, value, `${at}.`);
    }
  }

  #rule(at: string, holds: boolean): void {
    if (!holds) this.broken.push(at);
  }

  #unreadable<T>(value: T): T {
    this.isUnreadable = true;
    return value;
  }
}

const expressions = new Map<string, RegExp>();

function matches(text: string, pattern: string | undefined): boolean {
  if (pattern === undefined) return true;
  const found = expressions.get(pattern) ?? new RegExp(`^(?:${pattern})$`, "u");
  expressions.set(pattern, found);
  return found.test(text);
}

function isWithin(size: number, bounds: readonly [number, number] | undefined): boolean {
  return bounds === undefined || (size >= bounds[0] && size <= bounds[1]);
}
