import type { Clock } from "../clock.ts";
import { describeError, nameOfError } from "../describe-error.ts";
import type { ConsumerEvent } from "./events.ts";
import type { LogFields } from "./logger.ts";

/** Who is called. */
export type Service = "kinesis" | "store" | "dead-letters";

/** What is called, and for which shard; without one it concerns the stream or application as a whole. */
export interface Call {
  readonly service: Service;
  readonly operation: string;
  readonly shardId?: string | undefined;
}

/** A call that fails, and is tried again until it answers. */
export interface CallTrouble {
  readonly service: Service;
  /** As in the metric `retries`: `DescribeStreamSummary`, `joinWorker` … */
  readonly operation: string;
  /** What the last try failed with. */
  readonly error: string;
  /** Tries that failed since the last answer. */
  readonly failures: number;
  /** Since the first of them, in milliseconds. */
  readonly forMs: number;
}

interface Entry {
  readonly call: Call;
  readonly since: number;
  failures: number;
  error: string;
  /** Names of the errors that were logged as warnings: each is logged once until the call is answered. */
  readonly warned: Set<string>;
  /** Who tries it: shards may share a call. */
  readonly callers: Set<Call>;
}

const NO_SHARD = "";
/** How events name what is in trouble. */
const WHOSE = { kinesis: "stream", store: "store", "dead-letters": "dead-letters" } as const;

/**
 * Lines of level `warn` until all calls are answered again, and for a minute at least. What begins a
 * minute after all that fails already is another outage.
 */
const MOST_WARNINGS = 5;
const WARNINGS_AGAIN_AFTER_MS = 60_000;

/** Where changes are reported. */
export interface TroubleSink {
  emit(event: ConsumerEvent): void;
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
}

/**
 * The calls that fail now, and since when. A call that fails once may have met anything, so that is
 * logged as debug. One that fails again is a warning, once for each kind of error, and its end is
 * logged. An outage of any length and of any number of shards is a handful of lines. The others are of
 * level debug, and `Reporter` counts what has failed for long.
 */
export class Troubles {
  readonly #sink: TroubleSink;
  readonly #clock: Clock;
  /** By shard, or NO_SHARD, and then by call. */
  readonly #entries = new Map<string, Map<string, Entry>>();

  #warnings = 0;
  #warnedSince = -Infinity;
  /** When a call began to fail last. */
  #begunAt = -Infinity;

  constructor(sink: TroubleSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /**
   * A try of the call failed, and is followed by another, reported with the same object. `more` goes into
   * the log line.
   */
  failed(call: Call, error: unknown, more: LogFields = {}): void {
    const { shardId = NO_SHARD } = call;
    const text = describeError(error);
    let entries = this.#entries.get(shardId);
    if (entries === undefined) this.#entries.set(shardId, (entries = new Map<string, Entry>()));
    let entry = entries.get(keyOf(call));
    if (entry === undefined) {
      const since = this.#clock.monotonic();
      if (since - this.#begunAt >= WARNINGS_AGAIN_AFTER_MS) this.#warnings = 0;
      this.#begunAt = since;
      entry = { call, since, failures: 0, error: text, warned: new Set(), callers: new Set() };
      entries.set(keyOf(call), entry);
      this.#reportBegun(call, text, entries.size);
    }
    entry.callers.add(call);
    entry.failures += 1;
    entry.error = text;
    this.#log(entry, error, more);
  }

  /** The call was answered. Costs nothing while none fails. */
  answered(call: Call): void {
    const entry = this.#entryOf(call);
    if (entry !== undefined) this.#end(entry, "a call is answered again");
  }

  /** Whoever made the call does not try it any more: it was given up, or is not needed. */
  dropped(call: Call): void {
    const entry = this.#entryOf(call);
    if (!entry?.callers.delete(call) || entry.callers.size > 0) return;
    this.#end(entry, "a call that failed is not tried any more");
  }

  /** The shard is no longer read here. */
  forget(shardId: string): void {
    this.#entries.delete(shardId);
  }

  /** The scan is over, and nothing is called any more. */
  clear(): void {
    this.#entries.clear();
  }

  /** Those of calls for the stream or application as a whole. */
  get list(): readonly CallTrouble[] {
    return [...(this.#entries.get(NO_SHARD)?.values() ?? [])].map((entry) => {
      const { call, error, failures } = entry;
      const { service, operation } = call;
      return { service, operation, error, failures, forMs: this.#forMs(entry) };
    });
  }

  /** What a call for the shard failed with last; undefined = all are answered. */
  ofShard(shardId: string): string | undefined {
    const [entry] = this.#entries.get(shardId)?.values() ?? [];
    return entry?.error;
  }

  #entryOf(call: Call): Entry | undefined {
    if (this.#entries.size === 0) return undefined;
    return this.#entries.get(call.shardId ?? NO_SHARD)?.get(keyOf(call));
  }

  #end(entry: Entry, message: string): void {
    const { call, failures, warned } = entry;
    const { shardId = NO_SHARD } = call;
    const entries = this.#entries.get(shardId)!;
    entries.delete(keyOf(call));
    if (entries.size === 0) this.#entries.delete(shardId);
    const forMs = this.#forMs(entry);
    if (warned.size > 0) this.#sink.info(message, { ...call, failures, forMs });
    this.#reportOver(call, forMs, entries.size);
  }

  #forMs({ since }: Entry): number {
    return Math.round(this.#clock.monotonic() - since);
  }

  #reportBegun({ service, operation, shardId }: Call, error: string, failing: number): void {
    if (shardId === undefined) {
      this.#sink.emit({ kind: `${WHOSE[service]}-troubled`, operation, error });
    } else if (failing === 1) this.#sink.emit({ kind: "shard-troubled", shardId, error });
  }

  #reportOver({ service, operation, shardId }: Call, forMs: number, failing: number): void {
    if (shardId === undefined) {
      this.#sink.emit({ kind: `${WHOSE[service]}-recovered`, operation, forMs });
    } else if (failing === 0) this.#sink.emit({ kind: "shard-recovered", shardId });
  }

  #log({ call, failures, warned }: Entry, error: unknown, more: LogFields): void {
    const fields = { ...call, failures, error, ...more };
    const name = nameOfError(error);
    if (failures > 1 && !warned.has(name) && this.#mayWarn()) {
      warned.add(name);
      this.#sink.warn("a call keeps failing; it is tried again until it is answered", fields);
    } else if (failures <= 2) this.#sink.debug("a call failed; it is tried again", fields);
  }

  #mayWarn(): boolean {
    const now = this.#clock.monotonic();
    if (this.#entries.size === 1 && now - this.#warnedSince >= WARNINGS_AGAIN_AFTER_MS) {
      this.#warnings = 0;
      this.#warnedSince = now;
    }
    this.#warnings += 1;
    return this.#warnings <= MOST_WARNINGS;
  }
}

function keyOf({ service, operation }: Call): string {
  return `${service} ${operation}`;
}
