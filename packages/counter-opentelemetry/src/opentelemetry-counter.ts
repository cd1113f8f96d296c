import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames } from "@kc/core/adapter";
import { metrics, type MeterProvider } from "@opentelemetry/api";
import { Instruments } from "./instruments.ts";

export interface OpenTelemetryCounterOptions {
  /** @default the global one, which may be set while a consumer runs */
  readonly meterProvider?: MeterProvider;
  /** False = series are not split by shard: fewer series. @default true */
  readonly perShard?: boolean;
}

const OPTION_NAMES = ["meterProvider", "perShard"];

/**
 * A consumer's metrics by OpenTelemetry, under the names of its semantic conventions for messaging
 * where there are any. Several consumers share a meter provider. Where metrics go, and when, is the
 * business of the SDK that the process has set up; without one they go nowhere, at no cost.
 */
export class OpenTelemetryCounter implements Counter {
  readonly perShard: boolean;
  readonly #meterProvider: MeterProvider | undefined;
  #instruments: Instruments | undefined;

  /** @throws ConfigError if an option is wrong */
  constructor(options: OpenTelemetryCounterOptions = {}) {
    checkOptionNames("OpenTelemetryCounter", options, OPTION_NAMES);
    const { meterProvider, perShard = true } = options;
    if (meterProvider !== undefined) {
      checkMethods(
        "meterProvider",
        meterProvider,
        ["getMeter"],
        "a MeterProvider of OpenTelemetry",
      );
    }
    checkBoolean("perShard", perShard);
    this.perShard = perShard;
    this.#meterProvider = meterProvider;
  }

  /** The provider; where that is the global one, whatever stands for it. */
  get registry(): object {
    return this.#meterProvider ?? metrics;
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#shared().add(name, value, attributes);
  }

  set<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void {
    this.#shared().set(name, value, attributes);
  }

  record<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#shared().record(name, value, attributes);
  }

  remove<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#shared().remove(name, attributes);
  }

  /**
   * The SDK is often set up after this was made, and not rarely after a scan has begun. The API has no
   * meter that begins to count then, as it has tracers: so the provider is looked up until there is one.
   */
  #shared(): Instruments {
    if (this.#instruments?.hasSdk) return this.#instruments;
    const found = Instruments.of(this.#meterProvider ?? metrics.getMeterProvider());
    if (this.#instruments !== undefined && found !== this.#instruments) {
      found.absorb(this.#instruments);
    }
    this.#instruments = found;
    return found;
  }
}
