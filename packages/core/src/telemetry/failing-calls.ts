import type { Clock } from "../clock.ts";
import { describeError, nameOfError } from "../describe-error.ts";
import type { ConsumerEvent } from "./events.ts";
import type { LogFields } from "./logger.ts";

/** The called service. */
export type Service = "kinesis" | "store" | "dead-letters";

/** A call. Without `shardId` it concerns the whole stream or application. */
export interface Call {
  readonly service: Service;
  readonly operation: string;
  readonly shardId?: string | undefined;
}

/** A call that is failing, and is retried until it is answered. */
export interface FailingCall {
  readonly service: Service;
  /** As in the metric `retries`: `DescribeStreamSummary`, `joinWorker` … */
  readonly operation: string;
  /** The error of the last attempt. */
  readonly error: string;
  /** Number of failed attempts since the last answer. */
  readonly failures: number;
  /** Milliseconds since the first of them. */
  readonly forMs: number;
}

interface Entry {
  readonly call: Call;
  readonly since: number;
  failures: number;
  error: string;
  /** Names of the errors that were logged as warnings: once each until the call is answered. */
  readonly warned: Set<string>;
  /** The callers that are retrying: shards may share a call. */
  readonly callers: Set<Call>;
}

const NO_SHARD = "";
/** The prefix of a service's events: `stream-failing`. */
const EVENT_PREFIX = { kinesis: "stream", store: "store", "dead-letters": "dead-letters" } as const;

/**
 * Maximum number of warnings per outage. An outage ends when all calls are answered again, after a minute at the
 * earliest. A call that starts to fail a minute or more after the previous one belongs to a new outage.
 */
const MAX_WARNINGS = 5;
const WARNINGS_AGAIN_AFTER_MS = 60_000;

/** Receives the changes. */
export interface FailingCallSink {
  emit(event: ConsumerEvent): void;
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
}

/**
 * The calls that are failing, and since when. A first failure is logged at level debug, because it may be harmless. A
 * repeated failure is a warning, once per kind of error, and its end is logged too. So an outage of any length, of any
 * number of shards, causes a handful of warnings. `Reporter` reports how long calls have been failing.
 */
export class FailingCalls {
  readonly #sink: FailingCallSink;
  readonly #clock: Clock;
  /** By shard, or NO_SHARD, and then by call. */
  readonly #entries = new Map<string, Map<string, Entry>>();

  #warnings = 0;
  #warnedSince = -Infinity;
  /** When a call last began to fail. */
  #begunAt = -Infinity;

  constructor(sink: FailingCallSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /**
   * An attempt of the call failed, and another one follows.
   * @param call the same object for all attempts of a caller
   * @param more additional fields of the log line
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

  /** The caller does not retry the call any more: it was abandoned, or is not needed. */
  dropped(call: Call): void {
    const entry = this.#entryOf(call);
    if (!entry?.callers.delete(call) || entry.callers.size > 0) return;
    this.#end(entry, "a call that failed is not tried any more");
  }

  /** The shard is no longer read here. */
  forget(shardId: string): void {
    this.#entries.delete(shardId);
  }

  /** The scan has ended, and makes no more calls. */
  clear(): void {
    this.#entries.clear();
  }

  /** Failing calls that concern the whole stream or application. */
  get list(): readonly FailingCall[] {
    return [...(this.#entries.get(NO_SHARD)?.values() ?? [])].map((entry) => {
      const { call, error, failures } = entry;
      const { service, operation } = call;
      return { service, operation, error, failures, forMs: this.#forMs(entry) };
    });
  }

  /** The last error of a failing call for the shard; undefined = none fails. */
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
      this.#sink.emit({ kind: `${EVENT_PREFIX[service]}-failing`, operation, error });
    } else if (failing === 1) this.#sink.emit({ kind: "shard-failing", shardId, error });
  }

  #reportOver({ service, operation, shardId }: Call, forMs: number, failing: number): void {
    if (shardId === undefined) {
      this.#sink.emit({ kind: `${EVENT_PREFIX[service]}-recovered`, operation, forMs });
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
    return this.#warnings <= MAX_WARNINGS;
  }
}

function keyOf({ service, operation }: Call): string {
  return `${service} ${operation}`;
}
