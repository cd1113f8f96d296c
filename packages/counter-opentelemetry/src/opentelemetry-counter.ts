import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames } from "@kc/core/adapter";
import { metrics, type MeterProvider } from "@opentelemetry/api";
import { Instruments } from "./instruments.ts";

export interface OpenTelemetryCounterOptions {
  /** @default the global provider, which may be set while a consumer runs */
  readonly meterProvider?: MeterProvider;
  /** Whether series are split by shard. False results in fewer series. @default true */
  readonly perShard?: boolean;
}

const OPTION_NAMES = ["meterProvider", "perShard"];

/**
 * A consumer's metrics in OpenTelemetry, with the names of its semantic conventions for messaging where they exist.
 * Several consumers can share a meter provider. The SDK that the process has set up exports the metrics; without one,
 * they go nowhere, at no cost.
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

  /** The provider, or an object that represents the global one. */
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
   * The SDK is often set up after the counter was created, and sometimes after a scan has started. The API has proxy
   * tracers but no proxy meters for that case, so the provider is looked up until an SDK is set up.
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
