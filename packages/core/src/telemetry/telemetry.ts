import type { Counter } from "./counter.ts";
import type { LogFields, Logger } from "./logger.ts";
import type { CounterName, GaugeName, MetricAttributes } from "./metrics.ts";

type OwnAttributes<Name extends CounterName | GaugeName> = Omit<
  MetricAttributes<Name>,
  "stream" | "application"
>;

/**
 * The user's counter and logger behind one guard: a sink that throws, or is async after all and
 * rejects, never stops the scan. A failing counter is told to the logger, once; a failing logger to
 * the counter, each time.
 */
export class Telemetry {
  readonly #counter: Counter | undefined;
  readonly #logger: Logger | undefined;
  readonly #shared: { readonly stream: string; readonly application: string };
  #dropped = 0;

  constructor(
    sinks: { readonly counter?: Counter | undefined; readonly logger?: Logger | undefined },
    shared: { readonly stream: string; readonly application: string },
  ) {
    this.#counter = sinks.counter;
    this.#logger = sinks.logger;
    this.#shared = shared;
  }

  /** Is there a counter that figures go to? */
  get counts(): boolean {
    return this.#counter !== undefined;
  }

  /** Figures that the counter threw at. */
  get dropped(): number {
    return this.#dropped;
  }

  add<Name extends CounterName>(name: Name, value: number, own: OwnAttributes<Name>): void {
    const counter = this.#counter;
    if (counter === undefined || value === 0) return;
    const attributes = { ...own, ...this.#shared } as MetricAttributes<Name>;
    guard(
      () => counter.add(name, value, attributes),
      (error) => this.#onCounterFailure(error),
    );
  }

  set<Name extends GaugeName>(
    name: Name,
    value: number | undefined,
    own: OwnAttributes<Name>,
  ): void {
    const counter = this.#counter;
    if (counter === undefined) return;
    const attributes = { ...own, ...this.#shared } as MetricAttributes<Name>;
    guard(
      () => counter.set(name, value, attributes),
      (error) => this.#onCounterFailure(error),
    );
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields: LogFields = {}): void {
    this.#log("error", message, fields);
  }

  #log(level: keyof Logger, message: string, fields: LogFields): void {
    const logger = this.#logger;
    if (logger === undefined) return;
    guard(
      () => logger[level](message, { ...this.#shared, ...fields }),
      () => this.add("errors", 1, { error: "LOGGER_FAILED" }),
    );
  }

  #onCounterFailure(error: unknown): void {
    this.#dropped += 1;
    if (this.#dropped > 1) return;
    this.warn("the counter throws; figures are missing from here on", { error });
  }
}

function guard(call: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    const answer = call();
    if (answer instanceof Promise) answer.catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}
