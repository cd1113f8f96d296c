import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import type { SocketOptions } from "node:dgram";
import { StatsD } from "hot-shots";
import { keptLookup } from "./lookup.ts";
import { namePart, tagValue } from "./names.ts";
import { checkOptions, type StatsdClient, type StatsdCounterOptions } from "./options.ts";

export type { StatsdClient, StatsdCounterOptions } from "./options.ts";

/** Below what an Ethernet frame carries in one piece. */
const DATAGRAM_BYTES = 1400;
const DATAGRAM_WITHIN_MS = 100;

/**
 * A consumer's metrics as StatsD datagrams over UDP, several in one, without waiting for anybody: where
 * no server listens, they are gone. A histogram's value is a timing. StatsD cannot end a series; one
 * that is over is not reported any more.
 */
export class StatsdCounter implements Counter, AsyncDisposable {
  readonly perShard: boolean;
  readonly #prefix: string;
  readonly #tags: "dogstatsd" | "none";
  readonly #client: StatsdClient;
  readonly #own: StatsD | undefined;
  #dropped = 0;

  /** @throws ConfigError if an option is wrong */
  constructor(options: StatsdCounterOptions = {}) {
    const { prefix, tags, perShard, source } = checkOptions(options);
    this.perShard = perShard;
    this.#prefix = prefix;
    this.#tags = tags;
    if ("increment" in source) this.#client = source;
    else {
      this.#client = this.#own = new StatsD({
        ...source,
        maxBufferSize: DATAGRAM_BYTES,
        bufferFlushInterval: DATAGRAM_WITHIN_MS,
        errorHandler: () => (this.#dropped += 1),
        // With `DD_*` in the environment hot-shots would send tags to a server that knows none.
        ...(tags === "none" ? { datadog: false, includeDataDogTags: false } : {}),
        udpSocketOptions: {
          type: source.host.includes(":") ? "udp6" : "udp4",
          // Node calls it with a family in the place of options.
          lookup: keptLookup() as unknown as NonNullable<SocketOptions["lookup"]>,
        },
      });
      this.#own.socket.unref?.();
    }
  }

  /** Datagrams that could not be sent: the name was not found, or this machine refused them. */
  get dropped(): number {
    return this.#dropped;
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#client.increment(this.#nameOf(name, attributes), value, this.#tagsOf(attributes));
  }

  set<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void {
    this.#client.gauge(this.#nameOf(name, attributes), value, this.#tagsOf(attributes));
  }

  record<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#client.timing(this.#nameOf(name, attributes), value, this.#tagsOf(attributes));
  }

  /** The StatsD server forgets by its own rules what is not reported any more. */
  remove(): void {}

  /** Sends what waits, then closes the socket that it made. Idempotent. */
  async close(): Promise<void> {
    const own = this.#own;
    if (own === undefined) return;
    await new Promise<void>((resolve) => own.close(() => resolve()));
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #nameOf(name: string, attributes: Readonly<Record<string, string>>): string {
    if (this.#tags === "dogstatsd") return this.#prefix + name;
    const parts = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const values = parts.map(([, value]) => namePart(value));
    return [this.#prefix + name, ...values].join(".");
  }

  #tagsOf(attributes: Readonly<Record<string, string>>): Record<string, string> {
    if (this.#tags === "none") return {};
    const tags: Record<string, string> = {};
    for (const name in attributes) tags[name] = tagValue(attributes[name]!);
    return tags;
  }
}
