import type { Quotas } from "../model/quotas.ts";
import type { EmulatorOptions } from "../options.ts";
import { type FaultRule, planFault } from "../fault-rule.ts";
import { Faults } from "../faults.ts";
import { createSystemClock } from "../clock.ts";
import { UsageError } from "./usage-error.ts";

/** The settings of the command: the server's options, and those of the command only. */
export interface Settings {
  readonly options: EmulatorOptions;
  readonly faults: readonly FaultRule[];
  /** Whether each request is printed. */
  readonly log: boolean;
}

/** A setting of the command, given by a flag or an environment variable. */
export interface Setting {
  readonly flag: string;
  /** The name of its argument; undefined = a boolean flag. */
  readonly argument?: string;
  readonly help: string;
  readonly read: (text: string) => {
    readonly options?: EmulatorOptions;
    readonly faults?: readonly FaultRule[];
    readonly log?: boolean;
  };
}

const QUOTAS = { reads: "reads", writes: "writes", "control-plane": "controlPlane" } as const;

/** All settings, in the order of the help. `read` throws an error that says what it expects. */
export const settings: readonly Setting[] = [
  {
    flag: "port",
    argument: "number",
    help: "the port to listen on; 0 = any free port (default 4567)",
    read: (text) => ({ options: { port: integer(text, 0, 65_535) } }),
  },
  {
    flag: "host",
    argument: "address",
    help: "the address to listen on (default 127.0.0.1: only this machine can connect)",
    read: (text) => ({ options: { host: matching(text, /./, "an address") } }),
  },
  {
    flag: "streams",
    argument: "list",
    help: "streams that exist from the start, with their number of shards: orders:4,clicks:2",
    read: (text) => ({ options: { streams: readStreams(text) } }),
  },
  {
    flag: "quotas",
    argument: "which",
    help: "the quotas to enforce: all, none, or a list of reads,writes,control-plane (default all)",
    read: (text) => ({ options: { quotas: readQuotas(text) } }),
  },
  {
    flag: "region",
    argument: "name",
    help: "the Region in ARNs (default us-east-1)",
    read: (text) => ({ options: { region: matching(text, /^[a-z0-9-]+$/, "a Region") } }),
  },
  {
    flag: "account",
    argument: "digits",
    help: "the account in ARNs (default 000000000000)",
    read: (text) => ({ options: { account: matching(text, /^\d{12}$/, "12 digits") } }),
  },
  {
    flag: "transition",
    argument: "ms",
    help: "how long CREATING, UPDATING and DELETING last (default 0)",
    read: (text) => ({ options: { transitionMs: integer(text, 0, 2 ** 31 - 1) } }),
  },
  {
    flag: "listing-lag",
    argument: "ms",
    help: "how long listings still show the shards before a reshard (default 0)",
    read: (text) => ({ options: { listingLagMs: integer(text, 0, 2 ** 31 - 1) } }),
  },
  {
    flag: "latency",
    argument: "ms",
    help: "the latency of each call (default 0)",
    read: (text) => ({ options: { latency: integer(text, 0, 2 ** 31 - 1) } }),
  },
  {
    flag: "bandwidth",
    argument: "bytes",
    help: "bytes per second of all replies together (default: no limit)",
    read: (text) => ({ options: { bandwidth: integer(text, 1, 2 ** 53 - 1) } }),
  },
  {
    flag: "faults",
    argument: "list",
    help: "faults to inject: fail,error=InternalFailure,chance=0.05;hang,operation=GetRecords,call=9",
    read: (text) => ({ faults: readFaults(text) }),
  },
  {
    flag: "snapshot",
    argument: "file",
    help: "keeps the streams: reads the file at the start, writes it at the end",
    read: (text) => ({ options: { snapshot: matching(text, /./, "a file") } }),
  },
  {
    flag: "log",
    help: "prints each request",
    read: (text) => ({ log: oneOf({ true: true, false: false }, text) }),
  },
];

function readQuotas(text: string): boolean | Quotas {
  if (text === "all" || text === "none") return text === "all";
  const enforced = new Set(text.split(",").map((name) => oneOf(QUOTAS, name)));
  const entries = Object.values(QUOTAS).map((name) => [name, enforced.has(name)] as const);
  return Object.fromEntries(entries);
}

function readStreams(list: string): Record<string, number> {
  const streams: Record<string, number> = {};
  if (list === "") return streams;
  for (const entry of list.split(",")) {
    const [name = "", shards, ...rest] = entry.split(":");
    if (!/^[a-zA-Z0-9_.-]{1,128}$/.test(name) || shards === undefined || rest.length > 0) {
      throw new UsageError(`name:shards,name:shards…, not '${entry}'`);
    }
    if (Object.hasOwn(streams, name)) throw new UsageError(`'${name}' is there twice`);
    streams[name] = integer(shards, 1, 100_000);
  }
  return streams;
}

function readFaults(list: string): FaultRule[] {
  return list.split(";").map((text) => {
    const [fault = "", ...members] = text.split(",").map((part) => part.trim());
    const rule = Object.fromEntries([
      ["fault", fault],
      ...members.map((member) => {
        const [name = "", value = ""] = member.split("=");
        return [name, name === "takesEffect" ? value === "true" : value];
      }),
    ]) as FaultRule;
    // Planned on unused `Faults`, to refuse an invalid rule here.
    planFault(new Faults(createSystemClock(), Math.random), rule);
    return rule;
  });
}

function integer(text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`a number from ${least} to ${most}, not '${text}'`);
}

function matching(text: string, pattern: RegExp, what: string): string {
  if (pattern.test(text)) return text;
  throw new UsageError(`${what}, not '${text}'`);
}

function oneOf<Values extends Readonly<Record<string, unknown>>>(
  values: Values,
  text: string,
): Values[keyof Values] {
  if (Object.hasOwn(values, text)) return values[text] as Values[keyof Values];
  throw new UsageError(`one of ${Object.keys(values).join(", ")}, not '${text}'`);
}
