import { METRICS } from "@kc/core";
import { describe, expect, it } from "vitest";
import { COUNTER_SCENARIOS, counterConformance, runScenario } from "../src/index.ts";
import { HISTOGRAM_MUTANTS } from "./mutants/histograms.ts";
import { SERIES_MUTANTS } from "./mutants/series.ts";
import { counterMutant as mutant, kept, type CounterMutant } from "./support/counter-mutant.ts";
import {
  counterHarness,
  ReferenceCounter,
  ReferenceRegistry,
} from "./support/reference-counter.ts";

type Attributes = Readonly<Record<string, string>>;

const totalsOf = kept(() => new Map<string, number>());
const placesOf = kept(() => new Set<string>());
const registered = new WeakSet<ReferenceRegistry>();
const oneRegistry = new ReferenceRegistry();

const MUTANTS: readonly CounterMutant[] = [
  ...SERIES_MUTANTS,
  ...HISTOGRAM_MUTANTS,
  mutant(
    "shows the last addition",
    "add.total",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        super.set(name, value, attributes);
      }
    },
  ),
  mutant(
    "counts every metric under one name",
    "add.none",
    class extends ReferenceCounter {
      override add(_name: string, value: number, attributes: Attributes): void {
        for (const name of ["records", "bytes"]) super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "takes the order of attributes for a difference",
    "add.series",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        const ordered = "stream" === Object.keys(attributes)[0];
        super.add(ordered ? name : `${name}_turned`, value, attributes);
      }
    },
  ),
  mutant(
    "drops the attribute `application`",
    "add.series",
    class extends ReferenceCounter {
      override key(name: string, attributes: Attributes): string {
        return super.key(name, { ...attributes, application: "billing" });
      }
    },
  ),
  mutant(
    "adds in 32-bit floats",
    "add.large",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        super.add(name, value, attributes);
        const key = this.key(name, attributes);
        this.registry.series.set(key, Math.fround(this.registry.series.get(key)!));
      }
    },
  ),
  mutant(
    "adds to gauges",
    "set.last",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "takes a gauge of 0 for its end",
    "set.last",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        if (value === 0) super.remove(name, attributes);
        else super.set(name, value, attributes);
      }
    },
  ),
  mutant(
    "shows a gauge that is over for ever",
    "remove.gauge",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        if (name !== "lag") super.remove(name, attributes);
      }
    },
  ),
  mutant(
    "ends every series of the metric",
    "remove.gauge",
    class extends ReferenceCounter {
      override remove(): void {
        this.registry.series.clear();
      }
    },
  ),
  mutant(
    "removes gauges alone",
    "remove.counter",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        if (name !== "checkpoints") super.remove(name, attributes);
      }
    },
  ),
  mutant(
    "removes a counter with all that the shard has of it",
    "remove.counter",
    class extends ReferenceCounter {
      override remove(name: string, { outcome: _, ...attributes }: Attributes): void {
        for (const outcome of ["written", "same"]) super.remove(name, { ...attributes, outcome });
      }
    },
  ),
  mutant(
    "throws at the end of a series that never was",
    "remove.again",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        if (!this.registry.series.has(this.key(name, attributes)))
          throw new Error("no such labels");
        super.remove(name, attributes);
      }
    },
  ),
  mutant(
    "needs a shard",
    "folded.shards",
    class extends ReferenceCounter {
      override key(name: string, attributes: Attributes): string {
        return super.key(name, { shardId: "undefined", ...attributes });
      }
    },
  ),
  mutant(
    "registers its metrics again",
    "shared.registry",
    class extends ReferenceCounter {
      constructor(registry: ReferenceRegistry) {
        if (registered.has(registry)) throw new Error("a metric of that name is registered");
        registered.add(registry);
        super(registry);
      }
    },
  ),
  {
    name: "writes to one registry of the process",
    caughtBy: "shared.nothing",
    makeHarness: async () => counterHarness(ReferenceCounter, oneRegistry),
  },
  ...Object.keys(METRICS).map((unknown) =>
    mutant(
      `does not know ${unknown}`,
      `metric.${unknown}`,
      class extends ReferenceCounter {
        override key(name: string, attributes: Attributes): string {
          return super.key(name === unknown ? "other" : name, attributes);
        }
      },
    ),
  ),
  mutant(
    "takes 0 for nothing",
    "add.zero",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        if (value !== 0) super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "sets a counter back when 0 is added",
    "add.zero",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        if (value === 0) super.set(name, 0, attributes);
        else super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "keeps 2,000 series",
    "many.live",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        const { series } = this.registry;
        if (series.size < 2000 || series.has(this.key(name, attributes)))
          super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "lets series that are over keep their place",
    "many.ended",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        const places = placesOf(this.registry);
        places.add(this.key(name, attributes));
        if (places.size <= 2000) super.set(name, value, attributes);
      }
    },
  ),
  mutant(
    "wraps gauges at 32 bits",
    "set.large",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        super.set(name, value | 0, attributes);
      }
    },
  ),
  mutant(
    "continues with the total of a counter that ended",
    "remove.restart",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        const key = this.key(name, attributes);
        totalsOf(this.registry).set(key, this.registry.series.get(key) ?? 0);
        super.remove(name, attributes);
      }

      override add(name: string, value: number, attributes: Attributes): void {
        const key = this.key(name, attributes);
        const before = totalsOf(this.registry).get(key) ?? 0;
        totalsOf(this.registry).delete(key);
        super.add(name, value + before, attributes);
      }
    },
  ),
  mutant(
    "leaves a gauge away that is set to what it was",
    "remove.same",
    class extends ReferenceCounter {
      override set(name: string, value: number, attributes: Attributes): void {
        const last = totalsOf(this.registry);
        const key = this.key(name, attributes);
        if (last.get(key) !== value) super.set(name, value, attributes);
        last.set(key, value);
      }
    },
  ),
  mutant(
    "removes a shard from every application",
    "remove.others",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        for (const application of ["billing", "audit"])
          super.remove(name, { ...attributes, application });
      }
    },
  ),
  mutant(
    "removes a shard from every stream",
    "remove.others",
    class extends ReferenceCounter {
      override remove(name: string, attributes: Attributes): void {
        for (const stream of ["orders", "refunds"]) super.remove(name, { ...attributes, stream });
      }
    },
  ),
  mutant(
    "ends only what it began itself",
    "remove.handles",
    class extends ReferenceCounter {
      readonly #begun = new Set<string>();

      override set(name: string, value: number, attributes: Attributes): void {
        this.#begun.add(this.key(name, attributes));
        super.set(name, value, attributes);
      }

      override remove(name: string, attributes: Attributes): void {
        if (this.#begun.has(this.key(name, attributes))) super.remove(name, attributes);
      }
    },
  ),
  mutant(
    "refuses a line break in an attribute",
    "odd.values",
    class extends ReferenceCounter {
      override key(name: string, attributes: Attributes): string {
        if (attributes["shardId"]?.includes("\n") === true) throw new Error("invalid label");
        return super.key(name, attributes);
      }
    },
  ),
  mutant(
    "loses what has an empty attribute",
    "odd.values",
    class extends ReferenceCounter {
      override add(name: string, value: number, attributes: Attributes): void {
        if (Object.values(attributes).every(Boolean)) super.add(name, value, attributes);
      }
    },
  ),
  mutant(
    "answers with a promise",
    "odd.synchronous",
    class extends ReferenceCounter {
      override async add(name: string, value: number, attributes: Attributes): Promise<void> {
        super.add(name, value, attributes);
      }
    },
  ),
];

counterConformance("the counter that the mutants are made from", async () => counterHarness());

describe("mutants", () => {
  for (const { name, caughtBy, makeHarness } of MUTANTS) {
    it(`a counter that ${name} fails in ${caughtBy}`, async () => {
      const scenario = COUNTER_SCENARIOS.find(({ key }) => key === caughtBy);
      const run = runScenario(scenario!, makeHarness);
      await expect(run).rejects.toMatchObject({ name: "AssertionError" });
    });
  }

  it("leave no scenario without a mutant", () => {
    const caught = new Set(MUTANTS.map(({ caughtBy }) => caughtBy));
    const idle = COUNTER_SCENARIOS.map(({ key }) => key).filter((key) => !caught.has(key));
    expect(idle).toStrictEqual([]);
  });
});
