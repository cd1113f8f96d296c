import type { Clock } from "../clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";

/** Handled records are reported at least this often, in milliseconds, however long their page takes. */
const REPORT_AFTER_MS = 1000;

/**
 * Counts what was given to the handler since the last report. Counting costs two additions a record. The
 * report is made once for each page, and each second while a page takes longer.
 *
 * A delivery that calls the handler for one record at a time brackets each page with `begin` and `end`:
 * all the time between is attributed to its records. A delivery that makes several calls concurrently
 * reports the time of each awaited call with `took`, and that of synchronous calls by series.
 */
export class HandledMetrics {
  /** The number of started records, and the bytes of their data. */
  #records = 0;
  #bytes = 0;
  readonly #shardId: string;
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #totals: Totals;
  #reportedAt: number;
  /** The time since then is attributed to the started records; undefined if `took` reports it instead. */
  #since: number | undefined;
  /** The total duration of handled records, in milliseconds, and their number. */
  #tookMs = 0;
  #timed = 0;
  #began = false;
  /** The number of records in the current series of synchronous calls, and when it began. */
  #synchronous = 0;
  #synchronousSince = 0;

  constructor(shard: {
    readonly shardId: string;
    readonly telemetry: Telemetry;
    readonly clock: Clock;
    readonly totals: Totals;
  }) {
    this.#shardId = shard.shardId;
    this.#telemetry = shard.telemetry;
    this.#clock = shard.clock;
    this.#totals = shard.totals;
    this.#reportedAt = shard.clock.monotonic();
  }

  /** A page begins whose records are handled one at a time. */
  begin(): void {
    this.#reportedAt = this.#since = this.#clock.monotonic();
    this.#began = false;
  }

  /** Counts a record that starts for the first time. */
  count({ data }: { readonly data: Uint8Array }): void {
    this.#records += 1;
    this.#bytes += data.byteLength;
  }

  /** Excludes a wait of `ms` milliseconds during which the handler was not called. */
  pause(ms: number): void {
    if (this.#since !== undefined) this.#since += ms;
    this.#reportedAt += ms;
  }

  /** Adds the total duration of some handled records. */
  took(ms: number, records: number): void {
    this.#tookMs += ms;
    this.#timed += records;
  }

  /** Counts a synchronous call. @param since when its series began, if it is the first of one */
  synchronous(since: number): void {
    if (this.#synchronous === 0) this.#synchronousSince = since;
    this.#synchronous += 1;
  }

  /** Ends a series of synchronous calls: the time since it began is attributed to its records. */
  endSynchronous(): void {
    if (this.#synchronous === 0) return;
    this.took(this.#clock.monotonic() - this.#synchronousSince, this.#synchronous);
    this.#synchronous = 0;
  }

  /** Reports if the last report is a second old. */
  reportIfDue(now: number): void {
    if (now - this.#reportedAt >= REPORT_AFTER_MS) this.report(now);
  }

  /** The page was handled or abandoned. */
  end(): void {
    this.report(this.#clock.monotonic());
    this.#since = undefined;
    if (this.#began) this.countPage();
  }

  /** Counts a page in the metric `batches`. */
  countPage(): void {
    this.#telemetry.add("batches", 1, { shardId: this.#shardId });
  }

  report(now: number): void {
    const shardId = this.#shardId;
    this.#reportedAt = now;
    if (this.#since !== undefined) {
      this.took(now - this.#since, this.#records);
      this.#since = now;
    }
    if (this.#timed > 0) {
      this.#telemetry.record("handler_duration", this.#tookMs / this.#timed, {});
      this.#tookMs = this.#timed = 0;
    }
    if (this.#records === 0) return;
    this.#began = true;
    this.#totals.records += this.#records;
    this.#totals.bytes += this.#bytes;
    this.#telemetry.add("records", this.#records, { shardId });
    this.#telemetry.add("bytes", this.#bytes, { shardId });
    this.#records = this.#bytes = 0;
  }
}
