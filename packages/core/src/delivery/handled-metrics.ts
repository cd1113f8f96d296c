import type { Clock } from "../clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";

/** What is handled is reported at least so often, in milliseconds, however long its page takes. */
const REPORT_AFTER_MS = 1000;

/**
 * What the handler was given since the last report. Counting is two additions for each record; it is
 * reported once for each page, and each second of a page that takes longer.
 *
 * A delivery that calls the handler for one record at a time brackets each page with `begin` and `end`:
 * all the time between belongs to its records. One that makes several calls at once adds the time of each
 * by itself.
 */
export class HandledMetrics {
  /** Added to for each record that is begun. */
  records = 0;
  /** Their data. */
  bytes = 0;
  readonly #shardId: string;
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  readonly #totals: Totals;
  #reportedAt: number;
  /** Since when the time belongs to the records that are begun; undefined = see `took`. */
  #since: number | undefined;
  /** What records took of which it is known, in milliseconds, and how many they are. */
  #tookMs = 0;
  #timed = 0;
  #began = false;

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

  /** Another page begins, whose records are handled one at a time. */
  begin(): void {
    this.#reportedAt = this.#since = this.#clock.monotonic();
    this.#began = false;
  }

  /** The handler was not called for so long, but something else was waited for. */
  pause(ms: number): void {
    if (this.#since !== undefined) this.#since += ms;
    this.#reportedAt += ms;
  }

  /** So many records took so long altogether. */
  took(ms: number, records: number): void {
    this.#tookMs += ms;
    this.#timed += records;
  }

  /** The page takes a while. */
  reportIfDue(now: number): void {
    if (now - this.#reportedAt >= REPORT_AFTER_MS) this.report(now);
  }

  /** The page was handled, or given up. */
  end(): void {
    this.report(this.#clock.monotonic());
    this.#since = undefined;
    if (this.#began) this.pageOver();
  }

  /** All records of a page were begun; `batches` counts it. */
  pageOver(): void {
    this.#telemetry.add("batches", 1, { shardId: this.#shardId });
  }

  report(now: number): void {
    const shardId = this.#shardId;
    this.#reportedAt = now;
    if (this.#since !== undefined) {
      this.took(now - this.#since, this.records);
      this.#since = now;
    }
    if (this.#timed > 0) {
      this.#telemetry.record("handler_duration", this.#tookMs / this.#timed, {});
      this.#tookMs = this.#timed = 0;
    }
    if (this.records === 0) return;
    this.#began = true;
    this.#totals.records += this.records;
    this.#totals.bytes += this.bytes;
    this.#telemetry.add("records", this.records, { shardId });
    this.#telemetry.add("bytes", this.bytes, { shardId });
    this.records = this.bytes = 0;
  }
}
