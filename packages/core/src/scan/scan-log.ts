import type { StoreScope } from "../checkpoints/store.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import type { KcError } from "../errors.ts";
import type { KinesisClientLike } from "../kinesis/stream-client.ts";
import type { StreamId } from "../kinesis/stream-id.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";
import { version } from "../version.ts";

/** What the log says of a scan as a whole: its beginning, its stop, and its end. */
export class ScanLog {
  readonly totals: Totals = { records: 0, bytes: 0 };
  readonly #telemetry: Telemetry;
  readonly #since: Stopwatch;

  constructor(telemetry: Telemetry, clock: Clock) {
    this.#telemetry = telemetry;
    this.#since = new Stopwatch(clock);
  }

  /** It is not awaited: a client may take long to resolve its Region. */
  async begun(options: {
    readonly streamId: StreamId;
    readonly client: KinesisClientLike;
    readonly scope: StoreScope;
    readonly store: object;
    readonly group: object;
  }): Promise<void> {
    const { streamId, client, store, group } = options;
    if (!this.#telemetry.logs) return;
    this.#telemetry.info("the scan begins", {
      version: version(),
      region: await regionOf(streamId, client),
      store: nameOf(store),
      group: nameOf(group),
      workerId: (group as { readonly workerId?: string }).workerId,
    });
  }

  /** No further record starts. */
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

/** Of the stream's ARN, or as the client resolves it; undefined if neither has one. */
async function regionOf(id: StreamId, client: KinesisClientLike): Promise<string | undefined> {
  if ("StreamARN" in id) return id.StreamARN.split(":")[3];
  const { config } = client as { readonly config?: { readonly region?: unknown } };
  try {
    const region: unknown =
      typeof config?.region === "function" ? await config.region() : config?.region;
    return typeof region === "string" ? region : undefined;
  } catch {
    // No Region is configured: the first call says so.
    return undefined;
  }
}

function nameOf(object: object): string {
  return object.constructor.name;
}
