import { batches } from "../../src/delivery/batches/batches.ts";
import { concurrent } from "../../src/delivery/concurrent.ts";
import { Pauses } from "../../src/delivery/pauses.ts";
import {
  MemoryStore,
  MemoryStoreData,
  type BatchHandler,
  type Checkpoint,
  type Handler,
} from "../../src/index.ts";
import { resolveBatches, resolveDelivery } from "../../src/options/resolve-delivery.ts";
import { resolveOptions } from "../../src/options/resolve-options.ts";
import { Scan } from "../../src/scan/scan.ts";
import { takenApart } from "./aggregates.ts";
import { MemoryCounter } from "./memory-counter.ts";
import { STREAM, type World } from "./world.ts";

const SCOPE = { application: "billing", streamName: STREAM };
const SHARD = "shardId-000000000000";

export interface LifeOptions {
  readonly concurrency: number;
  /** @default 4096 */
  readonly maxAheadBytes?: number;
  /** @default true */
  readonly deaggregate?: boolean;
  /** @default false */
  readonly inBatches?: boolean;
}

/** A store that keeps so much of what is done beyond a position. */
class BoundedStore extends MemoryStore {
  override readonly capabilities;

  constructor(data: MemoryStoreData, maxAheadBytes: number) {
    super({ data });
    this.capabilities = { ...new MemoryStore().capabilities, maxAheadBytes };
  }
}

/** Processes one after another on one store. Each is killed: what it has not flushed is gone. Or it stops. */
export class Lives {
  readonly world: World;
  readonly data = new MemoryStoreData();
  readonly counter = new MemoryCounter();
  /** The text of each record, or of each user record of an aggregate, whose handler has returned, and when; of all lives. */
  readonly done: { readonly text: string; readonly at: number; readonly life: number }[] = [];
  life = 0;
  readonly #kills: (() => void)[] = [];
  readonly #stops = new Set<AbortController>();

  constructor(world: World) {
    this.world = world;
  }

  begin(handler: Handler, options: LifeOptions): void {
    const { world, data } = this;
    const { clock } = world;
    this.life += 1;
    const { life } = this;
    let killed = false;
    const store = new BoundedStore(data, options.maxAheadBytes ?? 4096);
    const resolved = resolveOptions({
      stream: STREAM,
      application: "billing",
      client: world.kinesis,
      clock,
      store,
      start: "TRIM_HORIZON",
      counter: this.counter,
      random: () => 0,
      drainTimeoutMs: 1000,
      deaggregate: options.deaggregate ?? true,
    });
    const batchHandler: BatchHandler = async (records, context) => {
      for (const record of records) {
        if (killed) return new Promise(() => {});
        await handler(record, context);
      }
      if (killed) return new Promise(() => {});
      for (const record of records) {
        for (const each of takenApart(Uint8Array.from(record.data)) ?? [record])
          this.done.push({ text: each.text(), at: clock.monotonic(), life });
      }
    };
    const counted: Handler = (record, context) => batchHandler([record], context);
    const { concurrency } = options;
    const delivery = options.inBatches
      ? batches(batchHandler, resolveBatches({ concurrency, maxRecords: 3 }), resolved.scope)
      : concurrent(counted, resolveDelivery({ concurrency }), resolved.scope);
    const scan = new Scan(resolved, world.kinesis, delivery, new Map(), new Pauses());
    const stop = new AbortController();
    scan.run(resolved.group, stop.signal).catch(() => {});
    this.#stops.add(stop);
    this.#kills.push(() => {
      killed = true;
      void store.close();
      stop.abort();
    });
  }

  /** They end in order: handlers have their drain time, and what is done is flushed. */
  async stop(): Promise<void> {
    for (const stop of this.#stops) stop.abort();
    this.#stops.clear();
    await this.world.clock.advance(5000);
  }

  async kill(): Promise<void> {
    for (const kill of this.#kills.splice(0)) kill();
    await this.world.clock.advance(5000);
  }

  async stored(): Promise<Checkpoint | undefined> {
    return new MemoryStore({ data: this.data }).getCheckpoint(SCOPE, SHARD);
  }

  times(text: string): number {
    return this.done.filter((each) => each.text === text).length;
  }
}
