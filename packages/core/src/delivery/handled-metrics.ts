import type { Clock } from "../clock.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";

/** What is handled is reported at least so often, in milliseconds, however long its page takes. */
const REPORT_AFTER_MS = 1000;

/**
 * What the handler was given since the last report. Counting is two additions for each record; it is
 * reported once for each page, and each second of a page that takes longer.
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
  #since = 0;
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
  }

  /** Another page begins. */
  begin(): void {
    this.#since = this.#clock.monotonic();
    this.#began = false;
  }

  /** The handler was not called for so long, but something else was waited for. */
  pause(ms: number): void {
    this.#since += ms;
  }

  /** The page takes a while. */
  reportIfDue(now: number): void {
    if (now - this.#since >= REPORT_AFTER_MS && this.records > 0) this.#report(now);
  }

  /** The page was handled, or given up. */
  end(): void {
    if (this.records > 0) this.#report(this.#clock.monotonic());
    if (this.#began) this.#telemetry.add("batches", 1, { shardId: this.#shardId });
  }

  #report(now: number): void {
    const shardId = this.#shardId;
    this.#began = true;
    this.#totals.records += this.records;
    this.#totals.bytes += this.bytes;
    this.#telemetry.add("records", this.records, { shardId });
    this.#telemetry.add("bytes", this.bytes, { shardId });
    this.#telemetry.record("handler_duration", (now - this.#since) / this.records, {});
    this.records = this.bytes = 0;
    this.#since = now;
  }
}
