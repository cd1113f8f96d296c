import type { StoreScope } from "../checkpoints/store.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import type { KcError } from "../errors.ts";
import type { KinesisClientLike } from "../kinesis/kinesis-client-like.ts";
import type { StreamId } from "../kinesis/stream-id.ts";
import { sdkTarget } from "../sdk-target.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";
import { version } from "../version.ts";

/** Logs the beginning, the stop and the end of a scan. */
export class ScanLog {
  readonly totals: Totals = { records: 0, bytes: 0 };
  readonly #telemetry: Telemetry;
  readonly #since: Stopwatch;

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#since = new Stopwatch(clock);
  }

  /** Not awaited by the scan, because a client may take long to resolve its Region. */
  async begun(options: {
    readonly streamId: StreamId;
    readonly client: KinesisClientLike;
    readonly scope: StoreScope;
    readonly store: object;
    readonly group: object;
  }): Promise<void> {
    const { streamId, client, store, group } = options;
    if (!this.#telemetry.logs) return;
    const { region, endpoint } = await sdkTarget(client);
    this.#telemetry.info("the scan begins", {
      version: version(),
      region: "StreamARN" in streamId ? streamId.StreamARN.split(":")[3] : region,
      endpoint,
      store: nameOf(store),
      group: nameOf(group),
      workerId: (group as { readonly workerId?: string }).workerId,
    });
  }

  /** Called when the scan starts to drain. */
  stopping(shards: readonly ShardStatus[], drainTimeoutMs: number): void {
    this.#telemetry.info("records in hand are finished and flushed, then the scan ends", {
      shards: shards.length,
      handling: shards.filter(({ handlingForMs }) => handlingForMs > 0).length,
      unflushed: shards.filter(({ unflushedForMs }) => unflushedForMs > 0).length,
      drainTimeoutMs,
    });
  }

  ended(shards: number, error: KcError | undefined): void {
    const forMs = Math.round(this.#since.elapsed());
    const { records, bytes } = this.totals;
    this.#telemetry.info("the scan has ended", {
      records,
      bytes,
      shards,
      forMs,
      code: error?.code,
    });
  }
}

function nameOf(object: object): string {
  return object.constructor.name;
}
