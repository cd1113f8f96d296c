import type { CounterHarness } from "../../src/index.ts";
import {
  counterHarness,
  type ReferenceCounterClass,
  type ReferenceRegistry,
} from "./reference-counter.ts";

/** A counter (or a harness) with one fault, and the scenario that is there to find it. */
export interface CounterMutant {
  readonly name: string;
  readonly caughtBy: string;
  readonly makeHarness: () => Promise<CounterHarness>;
}

/** A subclass of the reference counter, with one thing broken. */
export function counterMutant(
  name: string,
  caughtBy: string,
  Class: ReferenceCounterClass,
): CounterMutant {
  return { name, caughtBy, makeHarness: async () => counterHarness(Class) };
}

/** What a mutant keeps beside a registry. */
export function kept<Value extends object>(
  make: () => Value,
): (registry: ReferenceRegistry) => Value {
  const all = new WeakMap<ReferenceRegistry, Value>();
  return (registry) => {
    let value = all.get(registry);
    if (value === undefined) all.set(registry, (value = make()));
    return value;
  };
}
