import type { Counter, CounterName, GaugeName, HistogramName, MetricAttributes } from "@kc/core";
import type { SocketOptions } from "node:dgram";
import { StatsD } from "hot-shots";
import { cachedLookup } from "./lookup.ts";
import { namePart, tagValue } from "./names.ts";
import { checkOptions, type StatsdClient, type StatsdCounterOptions } from "./options.ts";

export type { StatsdClient, StatsdCounterOptions } from "./options.ts";

/** Below the payload of an Ethernet frame, so that datagrams are not fragmented. */
const DATAGRAM_BYTES = 1400;
const DATAGRAM_WITHIN_MS = 100;

type Attributes = Readonly<Record<string, string>>;

/** Attributes in the form that the server reads. */
interface EncodedAttributes {
  /** Appended to the metric's name. */
  readonly suffix: string;
  readonly tags: Record<string, string>;
}

/**
 * A consumer's metrics as StatsD datagrams over UDP, several metrics in one datagram. It never waits: if no server
 * listens, the metrics are lost. Values of histograms are sent as timings. StatsD cannot end a series, so an ended one
 * is simply no longer reported.
 */
export class StatsdCounter implements Counter, AsyncDisposable {
  readonly perShard: boolean;
  readonly #prefix: string;
  readonly #tags: "dogstatsd" | "none";
  readonly #client: StatsdClient;
  readonly #own: StatsD | undefined;
  readonly #encoded = new WeakMap<Attributes, EncodedAttributes>();
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
        // With `DD_*` in the environment, hot-shots would send tags even to a server without tags.
        ...(tags === "none" ? { datadog: false, includeDataDogTags: false } : {}),
        udpSocketOptions: {
          type: source.host.includes(":") ? "udp6" : "udp4",
          // Node calls it with a family instead of options.
          lookup: cachedLookup() as unknown as NonNullable<SocketOptions["lookup"]>,
        },
      });
      this.#own.socket.unref?.();
    }
  }

  /** The number of datagrams that could not be sent: the name was not found, or this machine refused them. */
  get dropped(): number {
    return this.#dropped;
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    const { suffix, tags } = this.#known(attributes);
    this.#client.increment(this.#prefix + name + suffix, value, tags);
  }

  set<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void {
    const { suffix, tags } = this.#known(attributes);
    this.#client.gauge(this.#prefix + name + suffix, value, tags);
  }

  record<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    const { suffix, tags } = this.#known(attributes);
    this.#client.timing(this.#prefix + name + suffix, value, tags);
  }

  /** Does nothing: the StatsD server drops a series that is no longer reported by its own rules. */
  remove(): void {}

  /** Sends buffered metrics, then closes the socket, unless the client is yours. Idempotent. */
  async close(): Promise<void> {
    const own = this.#own;
    if (own === undefined) return;
    await new Promise<void>((resolve) => own.close(() => resolve()));
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A cache by object: core passes the same object for all series with the same attributes. */
  #known(attributes: Attributes): EncodedAttributes {
    let encoded = this.#encoded.get(attributes);
    if (encoded === undefined) {
      encoded = this.#tags === "none" ? asNameParts(attributes) : asTags(attributes);
      this.#encoded.set(attributes, encoded);
    }
    return encoded;
  }
}

function asTags(attributes: Attributes): EncodedAttributes {
  const tags: Record<string, string> = {};
  for (const name in attributes) tags[name] = tagValue(attributes[name]!);
  return { suffix: "", tags };
}

function asNameParts(attributes: Attributes): EncodedAttributes {
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { suffix: sorted.map(([, value]) => `.${namePart(value)}`).join(""), tags: {} };
}
