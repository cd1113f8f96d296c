import { type Clock, createSystemClock } from "../clock.ts";
import { Account } from "./account.ts";
import { CallQuotas } from "./call-quotas.ts";
import type { Quotas } from "./quotas.ts";
import { defaultSettings } from "./stream-settings.ts";
import { Streams } from "./streams.ts";

/** Options of the emulated service. */
export interface ModelOptions {
  /** @default the system clock */
  readonly clock?: Clock;
  /** Streams that exist from the start, ACTIVE, by name with their shard counts. @default none */
  readonly streams?: Readonly<Record<string, number>>;
  /** The Region in the streams' ARNs. @default "us-east-1" */
  readonly region?: string;
  /** The account in the streams' ARNs, 12 digits. @default "000000000000" */
  readonly account?: string;
  /** Which of the service's quotas are enforced. @default true: all */
  readonly quotas?: boolean | Quotas;
  /** How long CREATING, UPDATING and DELETING last, in milliseconds. @default 0: no such states */
  readonly transitionMs?: number;
  /**
   * How long listings still show the shards as before a reshard, in milliseconds. GetRecords names the children
   * immediately. @default 0
   */
  readonly listingLagMs?: number;
  /** Maximum number of records in a GetRecords reply. @default 10,000 */
  readonly maxRecordsPerPage?: number;
  /** Number of empty pages before each page of records. @default 0 */
  readonly emptyPagesWhileBehind?: number;
  /** Leaves out ChildShards at the end of a shard, as some emulators do. @default false */
  readonly omitChildShards?: boolean;
  /**
   * What happens to an iterator at or after the sequence number of a trimmed record: `resume` at the horizon, or
   * `reject` with InvalidArgumentException. Both were observed. @default "resume"
   */
  readonly trimmedSequenceNumbers?: "resume" | "reject";
}

/** The state and options of the emulated service, as operations see it. */
export interface Model {
  readonly clock: Clock;
  readonly streams: Streams;
  readonly account: Account;
  readonly callQuotas: CallQuotas;
  readonly listingLagMs: number;
  readonly maxRecordsPerPage: number;
  readonly emptyPagesWhileBehind: number;
  readonly omitChildShards: boolean;
  readonly trimmedSequenceNumbers: "resume" | "reject";
}

/** @throws RangeError for a wrong option */
export function createModel(options: ModelOptions): Model {
  const clock = options.clock ?? createSystemClock();
  const account = options.account ?? "000000000000";
  if (!/^\d{12}$/.test(account)) throw new RangeError(`account: 12 digits, not '${account}'`);
  const quotas = asQuotas(options.quotas ?? true);
  const model = {
    clock,
    streams: new Streams({
      clock,
      account,
      region: options.region ?? "us-east-1",
      transitionMs: atLeast(0, "transitionMs", options.transitionMs ?? 0),
      quotas,
    }),
    account: new Account(),
    callQuotas: new CallQuotas(clock, quotas.controlPlane !== false),
    listingLagMs: atLeast(0, "listingLagMs", options.listingLagMs ?? 0),
    maxRecordsPerPage: atLeast(1, "maxRecordsPerPage", options.maxRecordsPerPage ?? 10_000),
    emptyPagesWhileBehind: atLeast(0, "emptyPagesWhileBehind", options.emptyPagesWhileBehind ?? 0),
    omitChildShards: options.omitChildShards ?? false,
    trimmedSequenceNumbers: options.trimmedSequenceNumbers ?? "resume",
  };
  for (const [name, shardCount] of Object.entries(options.streams ?? {})) {
    atLeast(1, `streams.${name}`, shardCount);
    model.streams.create(name, shardCount, defaultSettings(), 0);
  }
  return model;
}

function asQuotas(quotas: boolean | Quotas): Quotas {
  if (typeof quotas !== "boolean") return quotas;
  return { reads: quotas, writes: quotas, controlPlane: quotas };
}

function atLeast(least: number, name: string, value: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new RangeError(`${name}: an integer of at least ${least}, not ${value}`);
}
