import { parseArgs } from "node:util";
import type { EmulatorOptions } from "./emulator.ts";
import type { Quotas } from "./model/quotas.ts";

export const usage = `Usage: kc-emulator [options]

Amazon Kinesis Data Streams in memory, for the unmodified SDK.

  --port <number>     where to listen; 0 takes any free port (default 4567)
  --host <address>    on which address (default 127.0.0.1: this machine alone)
  --streams <list>    streams that exist from the start, with their number of
                      shards: orders:4,clicks:2 (default none)
  --quotas <which>    which of a shard's quotas are enforced: all, none,
                      reads or writes (default all)
  --help              this text
`;

/** Arguments that make no sense. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const quotas: Readonly<Record<string, Quotas>> = {
  all: { reads: true, writes: true },
  none: { reads: false, writes: false },
  reads: { reads: true, writes: false },
  writes: { reads: false, writes: true },
};

/** Reads the command line; `undefined` where help is wanted. Throws UsageError. */
export function parseCommandLine(args: readonly string[]): EmulatorOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const wanted = quotas[values.quotas];
  if (wanted === undefined) {
    throw new UsageError(`--quotas: all, none, reads or writes, not '${values.quotas}'`);
  }
  if (values.host === "") throw new UsageError("--host: an address, not ''");
  return {
    port: integer("--port", values.port, 0, 65_535),
    host: values.host,
    streams: parseStreams(values.streams),
    quotas: wanted,
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string", default: "4567" },
        host: { type: "string", default: "127.0.0.1" },
        streams: { type: "string", default: "" },
        quotas: { type: "string", default: "all" },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function parseStreams(list: string): Record<string, number> {
  const streams: Record<string, number> = {};
  if (list === "") return streams;
  for (const entry of list.split(",")) {
    const [name = "", shards, ...rest] = entry.split(":");
    if (!/^[a-zA-Z0-9_.-]{1,128}$/.test(name) || shards === undefined || rest.length > 0) {
      throw new UsageError(`--streams: name:shards,name:shards…, not '${entry}'`);
    }
    if (Object.hasOwn(streams, name)) throw new UsageError(`--streams: '${name}' is there twice`);
    streams[name] = integer(`--streams ${name}`, shards, 1, 100_000);
  }
  return streams;
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${name}: a number from ${least} to ${most}, not '${text}'`);
}
