import { FakeClock } from "@kc/emulator";
import { Registry } from "prom-client";

/** From one scrape, and one evaluation of the rules, to the next. */
const INTERVAL_MS = 30_000;

interface Expected {
  /** When it is asked, by `Recording.now`. */
  readonly at: number;
  /** The alerts that have fired until then, and fire then: these, and no other. */
  readonly fired: readonly string[];
}

/**
 * What a Prometheus server would have stored of some processes, scraped at fixed instants of virtual time:
 * the input of a promtool test.
 */
export class Recording {
  readonly clock: FakeClock = new FakeClock();
  readonly #wanted: RegExp;
  readonly #targets = new Map<string, Registry>();
  readonly #series = new Map<string, string[]>();
  #scrapes = 0;

  /** `wanted` = the names of the metrics that are kept. */
  constructor(wanted: RegExp) {
    this.#wanted = wanted;
  }

  /** Milliseconds since the first scrape. */
  get now(): number {
    return Math.max(0, this.#scrapes - 1) * INTERVAL_MS;
  }

  /** A process begins. */
  begin(instance: string): Registry {
    const registry = new Registry();
    this.#targets.set(instance, registry);
    return registry;
  }

  /** A process ends: it is scraped no more. */
  end(instance: string): void {
    this.#targets.delete(instance);
  }

  async run(minutes: number): Promise<void> {
    for (let left = minutes * 60_000; left > 0; left -= INTERVAL_MS) {
      await this.clock.advance(INTERVAL_MS);
      await this.#scrape();
    }
  }

  /** A test file of promtool. JSON is YAML. */
  test(rules: string, expected: readonly Expected[]): string {
    return JSON.stringify({
      rule_files: [rules],
      evaluation_interval: "30s",
      tests: [
        {
          interval: "30s",
          input_series: [...this.#series].map(([series, values]) => ({
            series,
            values: values.join(" "),
          })),
          promql_expr_test: expected.flatMap(({ at, fired }) =>
            ["1d", "1m"].map((since) => ({
              expr: `group by (alertname) (last_over_time(ALERTS{alertstate="firing"}[${since}]))`,
              eval_time: `${at}ms`,
              exp_samples: fired.map((name) => ({ labels: `{alertname="${name}"}`, value: 1 })),
            })),
          ),
        },
      ],
    });
  }

  async #scrape(): Promise<void> {
    const scraped = new Map<string, string>();
    for (const [instance, registry] of this.#targets) {
      for (const line of (await registry.metrics()).split("\n")) {
        const [, name = "", labels = "", value = ""] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
        if (this.#wanted.test(name))
          scraped.set(`${name}{instance="${instance}",${labels}}`, value);
      }
    }
    for (const series of scraped.keys()) {
      if (!this.#series.has(series))
        this.#series.set(
          series,
          Array.from({ length: this.#scrapes }, () => "_"),
        );
    }
    for (const [series, values] of this.#series) {
      const isOver = !["stale", "_"].includes(values.at(-1) ?? "_");
      values.push(scraped.get(series) ?? (isOver ? "stale" : "_"));
    }
    this.#scrapes += 1;
  }
}
