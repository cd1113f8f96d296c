import {
  CreateStreamCommand,
  KinesisServiceException,
  ListShardsCommand,
  MergeShardsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { MemoryStoreData, ownerOf, type DeadLetter, type WorkerIdentity } from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import { aggregatePlanOf, aggregateRandom, type AggregatePlan } from "./aggregate-plan.ts";
import { deliveryRandom, ONE_BY_ONE, planOf, type DeliveryPlan } from "./delivery-plan.ts";
import { Ledger } from "./ledger.ts";
import { Producer } from "./producer.ts";
import { Random } from "./random.ts";
import type { Weather } from "./store-link.ts";
import { Violation } from "./violation.ts";
import { LEASE_MS, SCOPE, STREAM, Worker } from "./worker.ts";

const MOST_WORKERS = 8;
const MOST_SHARDS = 8;
const MIB = 1024 * 1024;
/**
 * How long everything must have come to rest after the last fault: a call of Kinesis's that hangs is
 * given up after 30 s.
 */
const QUIET_MS = 90_000;
/** How long letters may take more: a call that gets no answer is given up after 30 s, and waits follow. */
const LETTERS_MS = 90_000;
/** How long user records may take more: many of them come at once, and handlers take their time for each. */
const AGGREGATES_MS = 90_000;
/** Long enough for what a process that died has left on its way. */
const AFTERWARDS_MS = 60_000;

/** What happened, and when: the same for the same seed. */
export interface Outcome {
  readonly seed: number;
  readonly violation: Error | undefined;
  readonly trace: readonly string[];
  readonly records: number;
  readonly repeats: number;
}

/** One seed's story: workers come, go, die and freeze, the stream is resharded, everything fails. */
export async function runStory(seed: number): Promise<Outcome> {
  const story = new Story(seed);
  await story.run();
  return story.outcome;
}

class Story {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new FakeClock();
  readonly #kinesis: FakeKinesis;
  readonly #data = new MemoryStoreData();
  readonly #deliveryRandom: Random;
  readonly #plan: DeliveryPlan | undefined;
  readonly #aggregates: AggregatePlan | undefined;
  readonly #ledger: Ledger;
  readonly #letters = new Map<string, DeadLetter>();
  readonly #weather: Weather;
  readonly #push: boolean;
  /** How often nobody is there for longer than the stream keeps its records. */
  readonly #nights: number;
  /** How often Kinesis is away for everybody. */
  readonly #outages: number;
  /** How often shards are split and merged, beside the other events. */
  readonly #reshards: number;
  readonly #start: "LATEST" | "TRIM_HORIZON";
  readonly #workers: Worker[] = [];
  readonly #trace: string[] = [];
  readonly #producer: Producer;
  #violation: Error | undefined;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#deliveryRandom = deliveryRandom(seed);
    this.#plan = planOf(this.#deliveryRandom);
    this.#ledger = new Ledger(this.#plan ?? ONE_BY_ONE, () => this.#clock.monotonic());
    const random = this.#random;
    this.#weather = {
      away: false,
      kinesisAway: false,
      lettersAway: false,
      faultsAreOver: false,
      trouble: random.pick([0, 0.02, 0.1]),
      slow: random.pick([0, 0, 0.3]),
    };
    this.#push = random.chance(0.5);
    this.#reshards = random.pick([6, 6, 40]);
    const largeRecords = random.pick([0, 0, 0, 4]);
    this.#nights = random.pick([0, 0, 0, 3]);
    this.#outages = random.pick([0, 0, 0, 3]);
    this.#start = random.pick(["LATEST", "TRIM_HORIZON"]);
    this.#kinesis = new FakeKinesis({
      clock: this.#clock,
      transitionMs: random.pick([0, 300]),
      listingLagMs: random.pick([0, 0, 1000, 8000]),
      omitChildShards: random.chance(0.2),
      // Large records take a shard's writing up for many seconds.
      quotas: { writes: largeRecords === 0 },
      maxRecordsPerPage: random.between(2, 50),
    });
    const aggregates = aggregateRandom(seed);
    this.#aggregates = aggregatePlanOf(aggregates, this.#plan);
    this.#producer = new Producer({
      streamName: STREAM,
      kinesis: this.#kinesis,
      clock: this.#clock,
      puts: this.#ledger.puts,
      random,
      largeRecords,
      plan: this.#aggregates,
      aggregateRandom: aggregates,
    });
  }

  get outcome(): Outcome {
    return {
      seed: this.#seed,
      violation: this.#violation,
      trace: this.#trace,
      records: this.#producer.records,
      repeats: this.#ledger.repeats,
    };
  }

  async run(): Promise<void> {
    const random = this.#random;
    if (this.#plan !== undefined) this.#note(`delivery: ${JSON.stringify(this.#plan)}`);
    if (this.#aggregates !== undefined) {
      this.#note(`aggregates: ${JSON.stringify(this.#aggregates)}`);
    }
    await this.#createStream(random.between(1, 4));
    await this.#clock.advance(60_000);
    for (let n = random.between(1, 4); n > 0; n -= 1) this.#join();
    // A start at LATEST promises what comes after it.
    await this.#advance(random.between(4000, 6000));
    const steps = random.between(10, 40);
    for (let step = 0; step < steps && !this.#violation; step += 1) {
      await this.#step();
      await this.#advance(
        random.chance(0.1) ? random.between(3000, 9000) : random.between(1, 1500),
      );
    }
    if (!this.#violation) await this.#end();
  }

  async #createStream(shards: number): Promise<void> {
    const distribution =
      this.#aggregates?.isKeyless === true
        ? ({
            StreamModeDetails: { StreamMode: "ON_DEMAND" },
            RecordDistributionStrategy: "AUTO",
          } as const)
        : { ShardCount: shards };
    await this.#kinesis.send(
      new CreateStreamCommand({
        StreamName: STREAM,
        MaxRecordSizeInKiB: 10_240,
        ...distribution,
      }),
    );
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const worker = random.pick(this.#workers);
    const events: readonly (readonly [weight: number, act: () => unknown])[] = [
      [40, () => this.#put(random.between(1, 12))],
      [this.#reshards, () => this.#reshard()],
      [8, () => this.#alive().length < MOST_WORKERS && this.#join()],
      [6, () => this.#note(`${worker.id} is stopped`, () => worker.stop())],
      [6, () => this.#note(`${worker.id} is killed`, () => worker.kill())],
      [8, () => this.#freeze(worker)],
      [5, () => this.#cutOff(worker)],
      [5, () => this.#cutOffAfterHeartbeat(worker)],
      [4, () => this.#cutOffInHandOff(worker)],
      [8, () => this.#slowHandler(worker)],
      [2, () => this.#setClock(worker)],
      [2, () => this.#refuse(worker)],
      [3, () => this.#outage()],
      [2, () => this.#failOver()],
      [8, () => this.#kinesisFault(worker)],
      [this.#nights, () => this.#sleepOver()],
      [this.#outages, () => this.#kinesisOutage()],
      [this.#plan?.onFailure === "queue" ? 6 : 0, () => this.#queueOutage()],
      [this.#plan === undefined ? 0 : 4, () => this.#pause(worker)],
    ];
    let roll = random.next() * events.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of events) {
      roll -= weight;
      if (roll < 0) return void (await act());
    }
  }

  #alive(): Worker[] {
    return this.#workers.filter(({ alive }) => alive);
  }

  #join(): void {
    // Now and then the name of one that died: it comes back before it is evicted.
    const died = this.#workers.filter(
      ({ id, alive }) => !alive && !this.#alive().some((other) => other.id === id),
    );
    const again = died.length > 0 && this.#random.chance(0.3);
    const id = again ? this.#random.pick(died).id : `w${this.#workers.length}`;
    this.#note(`${id} joins`, () => {
      this.#workers.push(
        new Worker({
          id,
          clock: this.#clock,
          kinesis: this.#kinesis,
          data: this.#data,
          random: this.#random,
          weather: this.#weather,
          ledger: this.#ledger,
          start: this.#start,
          link: {
            latencyMs: this.#random.pick([0, 0, 10, 150]),
            bandwidth: this.#random.pick([undefined, undefined, 4 * MIB]),
          },
          push: this.#push,
          plan: this.#plan,
          aggregates: this.#aggregates,
          deliveryRandom: this.#deliveryRandom,
          letters: this.#letters,
          onEvicted: (evicted) => this.#judgeEviction(evicted),
          onViolation: (error) => (this.#violation ??= error),
        }),
      );
    });
  }

  #freeze(worker: Worker): void {
    const ms = this.#random.between(500, 4 * LEASE_MS);
    this.#note(`${worker.id} is frozen for ${ms} ms`, () => worker.process.freeze());
    this.#clock.setTimer(() => worker.process.thaw(), ms);
  }

  /** It alone loses the store; now and then with a clock that somebody sets meanwhile. */
  #cutOff(worker: Worker): void {
    const ms = this.#random.between(500, 4 * LEASE_MS);
    this.#note(`${worker.id} alone is cut off for ${ms} ms`, () => (worker.weather.away = true));
    if (this.#random.chance(0.3)) this.#setClock(worker);
    this.#clock.setTimer(() => (worker.weather.away = false), ms);
  }

  /** The longest that a worker can be cut off for without a sign: right after a heartbeat. */
  #cutOffAfterHeartbeat(worker: Worker): void {
    const ms = this.#random.between(LEASE_MS, 4 * LEASE_MS);
    worker.onHeartbeat = () => {
      this.#note(`${worker.id} is cut off after its heartbeat for ${ms} ms`);
      worker.weather.away = true;
      this.#clock.setTimer(() => (worker.weather.away = false), ms);
    };
  }

  /** It is evicted while one of its shards is handed over and waits for a handler. */
  async #cutOffInHandOff(worker: Worker): Promise<void> {
    worker.handler.slow = { until: this.#clock.monotonic() + 20_000, ms: 12_000 };
    await this.#put(12);
    await this.#advance(2000);
    worker.onHandOff = () => {
      const ms = this.#random.between(LEASE_MS, LEASE_MS + 3000);
      this.#note(`${worker.id} is cut off in its hand-off for ${ms} ms`);
      worker.weather.away = true;
      this.#clock.setTimer(() => (worker.weather.away = false), ms);
    };
    if (this.#alive().length < MOST_WORKERS) this.#join();
  }

  /** The store refuses its claims for good: it ends by that, once its handlers have, and leaves. */
  #refuse(worker: Worker): void {
    this.#note(`${worker.id}'s claims are refused for good`, () => {
      worker.weather.refused = true;
      worker.handler.slow = { until: this.#clock.monotonic() + 30_000, ms: 3000 };
    });
  }

  /** Its handler turns from fast to slow, and back. */
  #slowHandler(worker: Worker): void {
    const ms = this.#random.pick([50, 400, 1500, 4000, 12_000]);
    const forMs = this.#random.between(2000, 20_000);
    this.#note(`${worker.id}'s handler takes ${ms} ms a record for ${forMs} ms`, () => {
      worker.handler.slow = { until: this.#clock.monotonic() + forMs, ms };
    });
  }

  #setClock(worker: Worker): void {
    const ms = this.#random.between(-40_000, 40_000);
    this.#note(`${worker.id}'s clock is set by ${ms} ms`, () => worker.process.jumpWall(ms));
  }

  #outage(): void {
    const ms = this.#random.between(500, 3 * LEASE_MS);
    this.#note(`the store is away for ${ms} ms`, () => (this.#weather.away = true));
    this.#clock.setTimer(() => (this.#weather.away = false), ms);
  }

  /** Somebody pauses all its shards, or one of them. */
  #pause(worker: Worker): void {
    const random = this.#deliveryRandom;
    const ms = random.between(500, 3 * LEASE_MS);
    const { shardIds } = worker;
    const shardId = random.chance(0.5) && shardIds.length > 0 ? random.pick(shardIds) : undefined;
    this.#note(`${worker.id} is paused for ${ms} ms: ${shardId ?? "all shards"}`, () => {
      this.#clock.setTimer(worker.pause(shardId), ms);
    });
  }

  #queueOutage(): void {
    const ms = this.#deliveryRandom.between(500, 4 * LEASE_MS);
    this.#note(
      `the dead-letter queue is away for ${ms} ms`,
      () => (this.#weather.lettersAway = true),
    );
    this.#clock.setTimer(() => (this.#weather.lettersAway = false), ms);
  }

  /**
   * The store goes over to a copy that lagged. For two leases' time what it had answered is void, and two
   * workers may hold one lease.
   */
  #failOver(): void {
    const application = this.#data.application(SCOPE);
    const { revision, shards, workers } = application;
    const copy = structuredClone({ revision, shards: [...shards], workers: [...workers] });
    const ms = this.#random.between(200, 8000);
    this.#clock.setTimer(() => {
      // What the copy never had is lost; a story in which all is lost is another one.
      if (copy.shards.length === 0) return;
      this.#note(`the store fails over to what it was ${ms} ms ago`);
      this.#ledger.lenientUntil = this.#clock.monotonic() + 3 * LEASE_MS;
      this.#ledger.wentBack(new Map(copy.shards.map(([id, { epoch }]) => [id, epoch])));
      application.revision = copy.revision;
      shards.clear();
      workers.clear();
      for (const [id, shard] of copy.shards) shards.set(id, shard);
      for (const [id, worker] of copy.workers) workers.set(id, worker);
    }, ms);
  }

  /** All are gone until retention has taken every record so far, and the shards that had ended. */
  async #sleepOver(): Promise<void> {
    this.#note("all are killed, and nobody comes for 25 hours");
    for (const worker of this.#workers) worker.kill();
    await this.#clock.advance(25 * 3_600_000);
    this.#ledger.trim();
    this.#join();
    if (this.#random.chance(0.5)) this.#join();
  }

  /**
   * Nobody reaches Kinesis for ten minutes: nobody leaves, since nobody could read in its place. Only
   * at the beginning somebody may, by what another worker noted just before.
   */
  async #kinesisOutage(): Promise<void> {
    const ms = 600_000;
    this.#note(`Kinesis is away for ${ms} ms`);
    for (const { kinesis } of this.#workers) kinesis.faults.blackHole({ ms });
    await this.#advance(60_000);
    this.#weather.kinesisAway = true;
    await this.#advance(ms - 60_000);
    this.#weather.kinesisAway = false;
  }

  #kinesisFault({ id, kinesis: { faults } }: Worker): void {
    const random = this.#random;
    const [operation, error] = random.pick([
      ["GetRecords", "ExpiredIteratorException"],
      ["GetRecords", "ProvisionedThroughputExceededException"],
      ["GetShardIterator", "ProvisionedThroughputExceededException"],
      ["ListShards", "LimitExceededException"],
    ] as const);
    const times = random.between(1, 4);
    const ms = random.between(100, 8000);
    const [what, plan] = random.pick([
      [`${times} times: ${error}`, () => faults.fail({ operation, error, times })],
      ["without a reply", () => faults.hang({ operation })],
      ["by a connection that breaks", () => faults.drop({ operation, times })],
      [`in a black hole of ${ms} ms`, () => faults.blackHole({ ms })],
    ] as const);
    this.#note(`${operation} fails for ${id} ${what}`, plan);
  }

  async #put(count: number): Promise<void> {
    await this.#producer.put(count);
    this.#note(`${count} records are put`);
  }

  async #reshard(): Promise<void> {
    const listed = await this.#shards();
    const open = listed.toSorted((a, b) => (a.start < b.start ? -1 : 1));
    const index = this.#random.between(0, open.length - 1);
    const shard = open[index]!;
    try {
      if (this.#random.chance(0.5) && open.length < MOST_SHARDS) {
        const NewStartingHashKey = String((shard.start + shard.end) / 2n + 1n);
        await this.#kinesis.send(
          new SplitShardCommand({ StreamName: STREAM, ShardToSplit: shard.id, NewStartingHashKey }),
        );
        this.#note(`${shard.id} is split`);
        // Now and then one half is merged before any listing has shown it: a child whose second parent
        // nobody knows.
        const neighbour = open[index + 1];
        if (neighbour && this.#producer.records % 3 === 0)
          await this.#mergeHalf(shard.end, neighbour.id);
      } else if (index > 0) {
        const left = open[index - 1]!.id;
        await this.#kinesis.send(
          new MergeShardsCommand({
            StreamName: STREAM,
            ShardToMerge: left,
            AdjacentShardToMerge: shard.id,
          }),
        );
        this.#note(`${left} and ${shard.id} are merged`);
      }
    } catch (error) {
      // It is being resharded still, or a planned fault fell on this call.
      if (!(error instanceof KinesisServiceException)) throw error;
    }
  }

  /** Merges the new shard that ends at this hash key with the one beside it. */
  async #mergeHalf(end: bigint, neighbour: string): Promise<void> {
    const half = (await this.#shards()).find((one) => one.end === end);
    if (half === undefined) return;
    await this.#put(12);
    await this.#kinesis.send(
      new MergeShardsCommand({
        StreamName: STREAM,
        ShardToMerge: half.id,
        AdjacentShardToMerge: neighbour,
      }),
    );
    this.#note(`${half.id} and ${neighbour} are merged`);
  }

  async #shards(): Promise<{ id: string; start: bigint; end: bigint }[]> {
    for (;;) {
      try {
        const { Shards = [] } = await this.#kinesis.send(
          new ListShardsCommand({ StreamName: STREAM }),
        );
        return Shards.filter((one) => !one.SequenceNumberRange?.EndingSequenceNumber).map(
          ({ ShardId, HashKeyRange }) => ({
            id: ShardId!,
            start: BigInt(HashKeyRange!.StartingHashKey!),
            end: BigInt(HashKeyRange!.EndingHashKey!),
          }),
        );
      } catch (error) {
        if (!(error instanceof KinesisServiceException)) throw error;
      }
    }
  }

  /** Faults stop, one more worker comes, and all must be handled, spread and settled. */
  async #end(): Promise<void> {
    this.#note("faults stop");
    this.#kinesis.faults.clear();
    this.#weather.trouble = 0;
    this.#weather.slow = 0;
    this.#weather.away = false;
    this.#weather.lettersAway = false;
    this.#weather.faultsAreOver = true;
    for (const worker of this.#workers) {
      worker.process.thaw();
      worker.kinesis.faults.clear();
      worker.weather.away = false;
      worker.weather.refused = false;
      worker.onHeartbeat = worker.onHandOff = undefined;
      worker.handler.slow = { until: -Infinity, ms: 0 };
    }
    this.#join();
    await this.#advance(
      QUIET_MS +
        (this.#plan?.onFailure === "queue" ? LETTERS_MS : 0) +
        (this.#aggregates === undefined ? 0 : AGGREGATES_MS),
    );
    if (this.#violation) return;
    const unfinished = this.#ledger.unfinished();
    if (unfinished.length > 0) return this.#break(`never handled: ${unfinished.join(", ")}`);
    const silent = this.#ledger.leftOutInSilence();
    if (silent.length > 0) return this.#break(`left out in silence: ${silent.join(", ")}`);
    await this.#judgeBalance();
    for (const worker of this.#alive()) worker.stop();
    await this.#advance(3 * LEASE_MS);
    const stuck = this.#workers.filter(({ process, ended }) => process.state !== "dead" && !ended);
    if (stuck.length > 0) this.#break(`${stuck.map(({ id }) => id).join(", ")} does not stop`);
    const failed = this.#workers.filter(({ ended }) => ended?.error !== undefined);
    if (this.#violation) return;
    await this.#judgeRest();
    this.#note(`ended; ${failed.length} stops ran out of time`);
  }

  /** Who has stopped holds nothing and waits for nothing; that it calls nobody is seen at each call. */
  async #judgeRest(): Promise<void> {
    await this.#advance(AFTERWARDS_MS);
    if (this.#clock.pendingTimers > 0) {
      this.#break(`${this.#clock.pendingTimers} timers are set when all has stopped`);
    }
    for (const { id, process, group, held } of this.#workers) {
      if (process.state === "dead") continue;
      if (group.status().state !== "idle") this.#break(`${id}'s group is not idle`);
      if (held > 0) this.#break(`${id} stopped and holds ${held} bytes`);
    }
  }

  /** A worker that is evicted has started nothing for a while: its own deadline comes first. */
  #judgeEviction({ workerId, incarnation }: WorkerIdentity): void {
    if (this.#ledger.lenient) return;
    for (const { id, alive, group } of this.#workers) {
      if (id !== workerId || !alive) continue;
      const status = group.status();
      if (status.incarnation === incarnation && status.remainingMs > 0) {
        this.#break(`${id} is evicted ${status.remainingMs} ms before its own deadline`);
      }
    }
  }

  async #judgeBalance(): Promise<void> {
    const open = await this.#shards();
    const { workers, shards } = this.#data.application(SCOPE);
    const living = new Map([...workers.values()].map((row) => [ownerOf(row), row.workerId]));
    const expected = this.#alive()
      .map(({ id }) => id)
      .toSorted();
    const members = [...living.values()].toSorted();
    if (members.join() !== expected.join()) {
      return this.#break(`the members are ${members.join()}, and ${expected.join()} live`);
    }
    const shares = new Map(expected.map((id) => [id, 0]));
    for (const { id } of open) {
      const owner = living.get(shards.get(id)?.owner ?? "");
      if (owner === undefined) return this.#break(`nobody reads ${id}`);
      shares.set(owner, shares.get(owner)! + 1);
    }
    const counts = [...shares.values()];
    if (Math.max(...counts) - Math.min(...counts) > 1) {
      this.#break(`unbalanced: ${JSON.stringify([...shares])}`);
    }
  }

  #break(message: string): void {
    this.#violation ??= new Violation(message);
  }

  #note(what: string, act: () => unknown = () => undefined): void {
    this.#trace.push(`${Math.round(this.#clock.monotonic())} ${what}`);
    act();
  }

  async #advance(ms: number): Promise<void> {
    const until = this.#clock.monotonic() + ms;
    while (!this.#violation && this.#clock.monotonic() < until) {
      await this.#clock.advance(Math.min(1000, until - this.#clock.monotonic()));
    }
  }
}
