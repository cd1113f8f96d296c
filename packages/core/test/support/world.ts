import { randomUUID } from "node:crypto";
import {
  CreateStreamCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
  UpdateShardCountCommand,
  type Shard,
} from "@aws-sdk/client-kinesis";
import { FakeClock, FakeKinesis, type FakeKinesisOptions } from "@kc/emulator";
import { onTestFinished } from "vitest";
import {
  Consumer,
  type BatchHandler,
  type BatchOptions,
  type ConsumerOptions,
  type ConsumerRecord,
  type Handler,
  type LeasingConsumerOptions,
} from "../../src/index.ts";
import type { DeliveryOptions } from "../../src/options/delivery-options.ts";
import { MemoryCounter } from "./memory-counter.ts";
import { MemoryLogger } from "./memory-logger.ts";
import { Rest } from "./rest.ts";

export const STREAM = "orders";

export type AnyOptions = Partial<ConsumerOptions> | Partial<LeasingConsumerOptions>;

/** One virtual Kinesis with one stream, one virtual clock, and whatever consumers a test starts. */
export class World {
  readonly clock = new FakeClock();
  readonly kinesis: FakeKinesis;
  readonly counter = new MemoryCounter();
  readonly logger = new MemoryLogger();
  readonly #runs: Run[] = [];
  readonly #rest: Rest;

  private constructor(options: FakeKinesisOptions) {
    this.kinesis = new FakeKinesis({ clock: this.clock, ...options });
    this.#rest = new Rest(this.clock, this.kinesis);
  }

  /**
   * A stream of `shards` shards. Whatever still runs at the test's end is stopped, and must leave
   * nothing behind.
   */
  static async of(options: FakeKinesisOptions & { shards?: number } = {}): Promise<World> {
    const { shards = 1, ...fake } = options;
    const world = new World(fake);
    await world.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: shards }));
    // The row that is written first lies 5 s back: let the stream be older than that.
    await world.clock.advance(60_000);
    world.kinesis.resetCalls();
    onTestFinished(async () => {
      world.kinesis.faults.clear();
      for (const run of world.#runs) await run.stop();
      await world.#rest.assert(world.#runs);
    });
    return world;
  }

  consumer(options: AnyOptions = {}): Consumer {
    const { store, group } = options;
    if (group) this.#rest.watch(group);
    const consumer = new Consumer({
      stream: STREAM,
      application: "billing",
      client: this.kinesis,
      clock: this.clock,
      counter: this.counter,
      logger: this.logger.tellingOf((message) => {
        if (message === "the scan has ended") this.#rest.look(consumer);
      }),
      random: () => 0.5,
      ...options,
      ...(store ? { store: this.#rest.counting(store) } : {}),
    } as ConsumerOptions);
    return consumer;
  }

  /** Starts a scan and lets it come to where it waits for the clock. */
  async start(
    options: AnyOptions = {},
    handler?: Handler,
    delivery?: DeliveryOptions,
  ): Promise<Run> {
    return this.run(this.consumer(options), handler, delivery);
  }

  /** The same with a consumer that is there already. */
  async run(consumer: Consumer, handler?: Handler, delivery?: DeliveryOptions): Promise<Run> {
    const run: Run = new Run(this, consumer, (signal) =>
      consumer.scan(
        (record, context) => {
          run.records.push(record);
          return handler?.(record, context);
        },
        { ...delivery, signal },
      ),
    );
    this.#runs.push(run);
    await this.clock.settle();
    return run;
  }

  /** The same in batches. */
  async runBatches(
    consumer: Consumer,
    handler: BatchHandler,
    options?: BatchOptions,
  ): Promise<Run> {
    const run = new Run(this, consumer, (signal) =>
      consumer.scanBatch(handler, { ...options, signal }),
    );
    this.#runs.push(run);
    await this.clock.settle();
    return run;
  }

  /** Starts any scan of the consumer's. */
  async runScan(
    consumer: Consumer,
    scan: (options: { readonly signal: AbortSignal }) => Promise<void>,
  ): Promise<Run> {
    const run = new Run(this, consumer, (signal) => scan({ signal }));
    this.#runs.push(run);
    await this.clock.settle();
    return run;
  }

  /** Puts records `text`, spread over shards by their partition key. */
  async put(key: string, ...texts: string[]): Promise<string[]> {
    const sequenceNumbers: string[] = [];
    for (const text of texts) {
      const { SequenceNumber } = await this.kinesis.send(
        new PutRecordCommand({ StreamName: STREAM, PartitionKey: key, Data: Buffer.from(text) }),
      );
      sequenceNumbers.push(SequenceNumber!);
    }
    return sequenceNumbers;
  }

  async shardIds(): Promise<string[]> {
    const { Shards } = await this.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
    return Shards!.map((shard) => shard.ShardId!);
  }

  /** The open shards, in the order of their hash keys. */
  async openShardIds(): Promise<string[]> {
    const { Shards } = await this.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
    const start = (shard: Shard): bigint => BigInt(shard.HashKeyRange!.StartingHashKey!);
    return Shards!
      .filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber === undefined)
      .toSorted((a, b) => (start(a) < start(b) ? -1 : 1))
      .map(({ ShardId }) => ShardId!);
  }

  async split(shardId: string): Promise<void> {
    const { Shards } = await this.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
    const { HashKeyRange } = Shards!.find((shard) => shard.ShardId === shardId)!;
    const start = BigInt(HashKeyRange!.StartingHashKey!);
    const end = BigInt(HashKeyRange!.EndingHashKey!);
    const middle = ((start + end) / 2n + 1n).toString();
    await this.kinesis.send(
      new SplitShardCommand({
        StreamName: STREAM,
        ShardToSplit: shardId,
        NewStartingHashKey: middle,
      }),
    );
  }

  async merge(shardId: string, adjacent: string): Promise<void> {
    await this.kinesis.send(
      new MergeShardsCommand({
        StreamName: STREAM,
        ShardToMerge: shardId,
        AdjacentShardToMerge: adjacent,
      }),
    );
  }

  async scale(count: number): Promise<void> {
    await this.kinesis.send(
      new UpdateShardCountCommand({
        StreamName: STREAM,
        TargetShardCount: count,
        ScalingType: "UNIFORM_SCALING",
      }),
    );
  }

  /** How often each iterator type was asked for, in order. */
  iteratorTypes(): unknown[] {
    return this.kinesis.calls
      .filter(({ operation }) => operation === "GetShardIterator")
      .map(({ input }) => input["ShardIteratorType"]);
  }
}

/** A scan under way: what it handled, and how it ended. */
export class Run {
  readonly records: ConsumerRecord[] = [];
  readonly consumer: Consumer;
  readonly #world: World;
  readonly #controller = new AbortController();
  /** Resolves the moment that the scan has settled. */
  readonly ended: Promise<void>;
  /** Stops it. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** `undefined` while it runs. */
  settled: { readonly error: unknown } | undefined;

  constructor(world: World, consumer: Consumer, scan: (signal: AbortSignal) => Promise<void>) {
    this.#world = world;
    this.consumer = consumer;
    this.ended = scan(this.#controller.signal).then(
      () => void (this.settled = { error: undefined }),
      (error: unknown) => void (this.settled = { error }),
    );
  }

  /** What the handler was called with, as text. */
  get texts(): string[] {
    return this.records.map((record) => record.text());
  }

  /** What the scan was rejected with; undefined while it runs or if it resolved. */
  get error(): unknown {
    return this.settled?.error;
  }

  abort(): void {
    this.#controller.abort(new Error(`stopped by ${randomUUID()}`));
  }

  /** Stops it and drives the clock until it has settled. */
  async stop(): Promise<void> {
    this.abort();
    for (let i = 0; i < 600 && this.settled === undefined; i += 1) {
      await this.#world.clock.advance(100);
    }
    await this.ended;
  }
}
