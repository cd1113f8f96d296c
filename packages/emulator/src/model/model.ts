import { type Clock, createSystemClock } from "../clock.ts";
import { Account } from "./account.ts";
import { CallQuotas } from "./call-quotas.ts";
import type { Quotas } from "./quotas.ts";
import { defaultSettings } from "./stream-settings.ts";
import { Streams } from "./streams.ts";

/** What the emulated service is like. */
export interface ModelOptions {
  /** @default the machine's own clock */
  readonly clock?: Clock;
  /** Streams that exist, ACTIVE, from the start: their names and shard counts. @default none */
  readonly streams?: Readonly<Record<string, number>>;
  /** The Region in the streams' ARNs. @default "us-east-1" */
  readonly region?: string;
  /** The account in the streams' ARNs, 12 digits. @default "000000000000" */
  readonly account?: string;
  /** Which of the service's quotas are enforced. @default true: all of them */
  readonly quotas?: boolean | Quotas;
  /** How long CREATING, UPDATING and DELETING last, in milliseconds. @default 0: no such states */
  readonly transitionMs?: number;
  /**
   * How long listings go on showing shards as they were before a reshard, in milliseconds. GetRecords
   * names the children at once. @default 0
   */
  readonly listingLagMs?: number;
  /** At most so many records in a GetRecords reply. @default 10,000 */
  readonly maxRecordsPerPage?: number;
  /** So many empty pages come before each page of records. @default 0 */
  readonly emptyPagesWhileBehind?: number;
  /** Leaves ChildShards out at a shard's end, as some emulators do. @default false */
  readonly omitChildShards?: boolean;
  /**
   * An iterator at or after a sequence number whose record was trimmed: `resume` at the horizon,
   * or `reject` it with InvalidArgumentException. Both were seen. @default "resume"
   */
  readonly trimmedSequenceNumbers?: "resume" | "reject";
}

/** The emulated service's state and manners: all that an operation can see. */
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

/** Throws RangeError for an option that makes no sense. */
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
