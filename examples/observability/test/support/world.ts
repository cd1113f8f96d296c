import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import {
  Consumer,
  type Counter,
  type DeliveryOptions,
  type Handler,
  LeaseGroup,
  type LeaseStore,
  MemoryStore,
  StoreError,
} from "@kc/core";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { FakeKinesis } from "@kc/emulator";
import type { Registry } from "prom-client";
import type { Recording } from "./recording.ts";

const STREAM = "orders";
const PUT_EVERY_MS = 10_000;

export interface Worker {
  /** Everything fails that the store is asked by this worker. */
  storeAway: boolean;
  /** It ends in order, and is scraped no more. */
  stop(): void;
  readonly scan: Promise<unknown>;
}

interface WorkerOptions {
  /** A worker of a LeaseGroup, with at most this many shards. @default it reads all shards */
  readonly maxShards?: number;
  readonly application?: string;
  readonly counterOf?: (registry: Registry) => Counter;
  /** How its scan delivers. @default a record at a time, the first failure ends it */
  readonly delivery?: Omit<DeliveryOptions, "signal">;
}

/** A stream that is put to, and processes that read it, in the virtual time of a recording. */
export class World {
  readonly kinesis: FakeKinesis;
  readonly #recording: Recording;
  readonly #store = new MemoryStore();
  readonly #workers: Worker[] = [];
  #cancel: (() => void) | undefined;

  constructor(recording: Recording, shards: number) {
    this.#recording = recording;
    this.kinesis = new FakeKinesis({ clock: recording.clock, streams: { [STREAM]: shards } });
    this.#put();
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#recording.clock.setTimer(resolve, ms));
  }

  /** A process with one consumer. Its scan may fail. */
  start(
    instance: string,
    handler: Handler,
    {
      maxShards,
      application = "billing",
      counterOf = (registry) => new PrometheusCounter({ registry }),
      delivery = {},
    }: WorkerOptions = {},
  ): Worker {
    const counter = counterOf(this.#recording.begin(instance));
    const stop = new AbortController();
    let isAway = (): boolean => false;
    const options = {
      stream: STREAM,
      application,
      client: this.kinesis,
      counter,
      clock: this.#recording.clock,
      random: () => 0.5,
      store: awayWhile(this.#store, () => isAway()),
      start: "TRIM_HORIZON",
    } as const;
    const consumer =
      maxShards === undefined
        ? new Consumer(options)
        : new Consumer({ ...options, group: new LeaseGroup({ workerId: instance, maxShards }) });
    const scan = consumer
      .scan(handler, { ...delivery, signal: stop.signal })
      .catch((error: unknown) => error);
    const worker: Worker = {
      storeAway: false,
      stop: () => {
        stop.abort();
        this.#recording.end(instance);
      },
      scan,
    };
    isAway = () => worker.storeAway;
    this.#workers.push(worker);
    return worker;
  }

  /** All processes end, and nothing is put. */
  async end(): Promise<void> {
    this.#cancel?.();
    for (const worker of this.#workers) {
      worker.storeAway = false;
      worker.stop();
    }
    await this.#recording.clock.advance(10 * 60_000);
    await Promise.all(this.#workers.map(({ scan }) => scan));
  }

  #put(): void {
    const Records = Array.from({ length: 32 }, (_, n) => ({
      PartitionKey: `customer-${n}`,
      Data: Buffer.from("order"),
    }));
    void this.kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records }));
    this.#cancel = this.#recording.clock.setTimer(() => this.#put(), PUT_EVERY_MS);
  }
}

/** The store, as a worker sees it that it may be out of reach of. */
function awayWhile(store: MemoryStore, isAway: () => boolean): LeaseStore {
  return new Proxy<LeaseStore>(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...values: readonly unknown[]): Promise<unknown> => {
        if (isAway())
          throw new StoreError("STORE_UNAVAILABLE", "connection refused", { retryable: true });
        return Reflect.apply(value, target, values) as unknown;
      };
    },
  });
}
