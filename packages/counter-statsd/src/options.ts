import { ConfigError } from "@kc/core";
import {
  checkBoolean,
  checkMethods,
  checkOneOf,
  checkOptionNames,
  checkWholeNumber,
} from "@kc/core/adapter";

/** The part of a `hot-shots` client that the counter uses. */
export interface StatsdClient {
  increment(name: string, value: number, tags: Record<string, string>): void;
  gauge(name: string, value: number, tags: Record<string, string>): void;
  timing(name: string, milliseconds: number, tags: Record<string, string>): void;
}

export type StatsdCounterOptions = {
  /** The prefix of every metric's name. @default "kinesis." */
  readonly prefix?: string;
  /**
   * `dogstatsd`: attributes are sent as tags, which Datadog's agent, Telegraf and statsd_exporter read.
   * `none`: attributes become parts of the name, for a server without tags. @default "dogstatsd"
   */
  readonly tags?: "dogstatsd" | "none";
  /** Whether series are split by shard. False results in fewer series. @default true */
  readonly perShard?: boolean;
} & (
  | {
      /** The server's name or address. @default "127.0.0.1" */
      readonly host?: string;
      /** Its UDP port, 1 to 65535. @default 8125 */
      readonly port?: number;
      readonly client?: never;
    }
  | {
      /** A client of `hot-shots`. You own it: the counter never closes it. */
      readonly client: StatsdClient;
      readonly host?: never;
      readonly port?: never;
    }
);

export interface CheckedOptions {
  readonly prefix: string;
  readonly tags: "dogstatsd" | "none";
  readonly perShard: boolean;
  readonly source: StatsdClient | { readonly host: string; readonly port: number };
}

const OPTION_NAMES = ["prefix", "tags", "perShard", "host", "port", "client"];

/** @throws ConfigError that names the option */
export function checkOptions(options: StatsdCounterOptions): CheckedOptions {
  checkOptionNames("StatsdCounter", options, OPTION_NAMES);
  const { prefix = "kinesis.", tags = "dogstatsd", perShard = true, client, host, port } = options;
  if (typeof prefix !== "string" || !/^[\w.-]*$/.test(prefix)) {
    throw new ConfigError("prefix", "must be letters, digits, `_`, `-` and `.`");
  }
  checkOneOf("tags", tags, ["dogstatsd", "none"]);
  checkBoolean("perShard", perShard);
  if (client !== undefined) {
    if (host !== undefined || port !== undefined) {
      throw new ConfigError("client", "give a client, or host and port, not both");
    }
    checkMethods("client", client, ["increment", "gauge", "timing"], "a client of hot-shots");
    return { prefix, tags, perShard, source: client };
  }
  const source = { host: host ?? "127.0.0.1", port: port ?? 8125 };
  if (typeof source.host !== "string" || source.host === "") {
    throw new ConfigError("host", "must be a server's name or address");
  }
  checkWholeNumber("port", source.port, { min: 1, max: 65_535 });
  return { prefix, tags, perShard, source };
}
