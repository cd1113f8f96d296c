import { setMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { Checkpointer } from "../src/checkpoints/checkpointer.ts";
import { StoreCalls } from "../src/checkpoints/store-calls.ts";
import { sleep, Stopwatch } from "../src/clock.ts";
import type {
  DeliveredShard,
  Delivery,
  DeliveryStatus,
  OpenDelivery,
} from "../src/delivery/delivery.ts";
import { HandledMetrics } from "../src/delivery/handled-metrics.ts";
import { HandlerCall } from "../src/delivery/handler-call.ts";
import { LoopTurns } from "../src/delivery/loop-turns.ts";
import { oneByOne } from "../src/delivery/one-by-one.ts";
import { Pauses } from "../src/delivery/pauses.ts";
import { RecordSignals } from "../src/delivery/record-signal.ts";
import { StartGate } from "../src/delivery/start-gate.ts";
import { Tracker } from "../src/delivery/tracker.ts";
import { MemoryStore, type ConsumerRecord, type Handler } from "../src/index.ts";
import { DecodedRecords } from "../src/kinesis/page-records.ts";
import { StreamClient } from "../src/kinesis/stream-client.ts";
import { resolveOptions } from "../src/options/resolve-options.ts";
import { ReadBudget } from "../src/reading/read-budget.ts";
import { PageCursor, type RecordCursor } from "../src/reading/record-cursor.ts";
import type { Page, ReaderStatus, ReadShard, ShardReader } from "../src/reading/shard-reader.ts";
import { ResumePoint } from "../src/reading/resume-point.ts";
import { Scan } from "../src/scan/scan.ts";
import { ShardRun } from "../src/scan/shard-run.ts";
import { SharedTimer } from "../src/shared-timer.ts";
import { STREAM, World } from "./support/world.ts";

/** A delivery as simple as one by key can be: each key is a chain of its own. */
class ByKey implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #tracker: Tracker;
  readonly #gate: StartGate;
  readonly #metrics: HandledMetrics;
  readonly #handler: Handler;
  readonly #lanes = new Map<string | undefined, Promise<void>>();

  constructor(handler: Handler, shard: DeliveredShard) {
    this.#shard = shard;
    this.#handler = handler;
    this.#tracker = new Tracker(shard.progress);
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
  }

  async accept(page: Page): Promise<void> {
    const records = this.#tracker.accept(page);
    this.#metrics.begin();
    for (let record = records.current(); record; record = records.current()) {
      const { sequenceNumber, subSequenceNumber } = record;
      const ends = records.endsStreamRecord;
      const ordinal = this.#tracker.start(sequenceNumber, subSequenceNumber, ends);
      const before = this.#lanes.get(record.partitionKey) ?? Promise.resolve();
      const lane = before.then(() => this.#handle(record, ordinal));
      lane.catch(() => {});
      this.#lanes.set(record.partitionKey, lane);
      records.advance();
    }
    this.#tracker.endPage();
    this.#shard.stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#lanes.values());
  }

  status(): DeliveryStatus {
    const handles = this.#tracker.inFlight > 0;
    return {
      state: handles ? "handling" : "idle",
      pausedBy: undefined,
      retry: undefined,
      keysHeldUp: 0,
      handlingForMs: 0,
      recordsInFlight: this.#tracker.inFlight,
      oldest: this.#tracker.oldest,
      isAtRecord: handles,
    };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#lanes.values());
    this.#tracker.close();
    this.#metrics.end();
  }

  async #handle(record: ConsumerRecord, ordinal: number): Promise<void> {
    const wait = this.#gate.ask(true);
    if (wait) await wait;
    this.#shard.stop.throwIfAborted();
    const call = new HandlerCall(this.#shard, new RecordSignals(this.#shard));
    try {
      await call.begin(this.#handler, record, 1);
      this.#tracker.done(ordinal);
    } finally {
      call.end();
    }
  }
}

test("a delivery by key fits behind the seam: keys side by side, each in order, and the checkpoint behind both", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const { clock } = world;
  const order: string[] = [];
  const handler: Handler = async (record) => {
    await sleep(clock, record.partitionKey === "slow" ? 1000 : 10);
    order.push(record.text());
  };
  const options = resolveOptions({
    stream: STREAM,
    application: "billing",
    client: world.kinesis,
    clock,
    store,
    start: "TRIM_HORIZON",
  });
  const openDelivery: OpenDelivery = (shard) => new ByKey(handler, shard);
  const [first] = await world.put("slow", "s1");
  await world.put("fast", "f1", "f2");
  const [last] = await world.put("slow", "s2");
  const stop = new AbortController();
  const scan = new Scan(options, world.kinesis, openDelivery, new Map(), new Pauses());
  const ended = scan.run(options.group, stop.signal);
  await clock.advance(500);
  expect(order).toEqual(["f1", "f2"]);
  expect(scan.status().shards[0]).toMatchObject({ recordsInFlight: 4, position: undefined });
  await clock.advance(600);
  expect(scan.status().shards[0]!.position).not.toMatchObject({ sequenceNumber: last });
  expect(scan.status().shards[0]!.position).toBeDefined();
  await clock.advance(1000);
  expect(order).toEqual(["f1", "f2", "s1", "s2"]);
  expect(scan.status().shards[0]).toMatchObject({ position: { sequenceNumber: last } });
  expect(scan.status().bufferedBytes).toBe(0);
  stop.abort();
  await clock.settle();
  await ended;
  const shardId = "shardId-000000000000";
  const stored = await store.getCheckpoints({ application: "billing", streamName: STREAM });
  expect(stored.get(shardId)).toMatchObject({ sequenceNumber: last });
  expect(first).toBeDefined();
});

/** A reader to which somebody else pushes replies, as fan-out does. It resumes as polling does. */
class PushedReader implements ShardReader {
  readonly #shard: ReadShard;
  readonly #resume: ResumePoint;
  readonly #account;
  readonly #pages: Page[] = [];
  #wake: () => void = () => {};

  constructor(shard: ReadShard, world: World) {
    this.#shard = shard;
    this.#resume = new ResumePoint(shard.start, world.clock);
    this.#resume.resumed();
    this.#account = new ReadBudget(2 ** 20, world.clock).open();
    shard.stop.addEventListener("abort", () => this.#wake(), { once: true });
  }

  async push(numbers: readonly string[], end: boolean): Promise<void> {
    const records = new DecodedRecords(
      numbers.map((SequenceNumber) => ({
        SequenceNumber,
        PartitionKey: "key",
        Data: Buffer.from(SequenceNumber),
      })),
    );
    const cursor: RecordCursor = new PageCursor(records, this.#shard.shardId, 0, undefined);
    this.#resume.accept({ records, millisBehindLatest: 0, completeUntil: undefined }, cursor);
    const memory = await this.#account.reserve(records.heldBytes, 0, this.#shard.stop);
    memory.arrived();
    this.#pages.push({
      records: cursor,
      lastSequenceNumber: numbers.at(-1),
      millisBehindLatest: 0,
      arrivalMs: 0,
      receivedAt: 0,
      end: end
        ? {
            children: [
              { shardId: "shardId-000000000001", parentShardIds: [this.#shard.shardId] },
            ] as never,
          }
        : undefined,
      memory,
    });
    this.#wake();
  }

  async next(): Promise<Page | undefined> {
    for (;;) {
      this.#shard.stop.throwIfAborted();
      const page = this.#pages.shift();
      if (page) return page;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  reopen(): void {}

  status(): ReaderStatus {
    return {
      recordsAhead: this.#pages.reduce((sum, { records }) => sum + records.left, 0),
      lagMs: 0,
      hasPage: this.#pages.length > 0,
      arrivalMs: 0,
      overdueMs: 0,
      sinceLastPollMs: undefined,
      answered: true,
    };
  }

  close(): void {
    this.#account.close();
  }
}

test("a reader that replies are pushed to fits behind the seam: it resumes, ends, and its end is stored", async () => {
  const world = await World.of();
  const { clock } = world;
  const store = new MemoryStore();
  const options = resolveOptions({ stream: STREAM, application: "billing", clock, store });
  const { telemetry, random, scope } = options;
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  const calls = new StoreCalls({ store, clock, random, telemetry });
  const seen: string[] = [];
  let reader: PushedReader | undefined;
  const run = new ShardRun(
    {
      shardId: "shardId-000000000000",
      checkpoint: { kind: "position", sequenceNumber: "10" },
      presentAtStart: true,
      afterParent: false,
      hashKeyRange: () => undefined,
    },
    {
      openReader: (shard) => (reader = new PushedReader(shard, world)),
      openDelivery: oneByOne((record) => void seen.push(record.text()), undefined),
      onShardClosed: undefined,
      application: {
        row: { start: "TRIM_HORIZON", startedAt: new Date(0), migrated: false } as never,
        firstStart: false,
        sinceOpened: new Stopwatch(clock),
      },
      firstGrant: true,
      stream: new StreamClient({ ...options, id: options.streamId, client: world.kinesis }),
      checkpointer: new Checkpointer({
        ...options,
        calls,
        scope,
        maxWriteMs: () => 1000,
        ended: never,
        onFailure: (error) => expect.unreachable(String(error)),
      }),
      clock,
      random,
      drainTimeoutMs: 5000,
      turns: new LoopTurns(clock),
      timer: new SharedTimer(clock),
      pauses: new Pauses(),
      telemetry,
      totals: { records: 0, bytes: 0 },
      stop: never,
      deadline: never,
      onFailure: (error) => expect.unreachable(String(error)),
      previous: undefined,
    },
  );
  const outcome = run.run();
  await clock.settle();
  await reader!.push(["10", "11"], false);
  await clock.settle();
  expect(seen).toEqual(["11"]);
  await reader!.push(["12"], true);
  await clock.advance(6000);
  expect(await outcome).toMatchObject({ kind: "ended" });
  expect(seen).toEqual(["11", "12"]);
  const stored = await store.getCheckpoints(scope);
  expect(stored.get("shardId-000000000000")).toEqual({ kind: "shard-end", sequenceNumber: "12" });
});
