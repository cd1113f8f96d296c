import { MemoryStoreData, type DeadLetter, type WorkerIdentity } from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import { aggregatePlanOf, aggregateRandom, type AggregatePlan } from "./aggregate-plan.ts";
import { deliveryRandom, ONE_BY_ONE, planOf, type DeliveryPlan } from "./delivery-plan.ts";
import { Ledger } from "./ledger.ts";
import { Producer } from "./producer.ts";
import { Random } from "./random.ts";
import type { Weather } from "./store-link.ts";
import { Violation } from "./violation.ts";
import { STREAM, Worker } from "./worker.ts";

const MIB = 1024 * 1024;
export const MAX_WORKERS = 8;

/** The objects of a story: the stream, the store, the workers, and the records about them. */
export class World {
  readonly seed: number;
  /** The source of randomness, except for delivery and aggregates. */
  readonly random: Random;
  readonly clock: FakeClock = new FakeClock();
  readonly kinesis: FakeKinesis;
  readonly data: MemoryStoreData = new MemoryStoreData();
  readonly deliveryRandom: Random;
  readonly plan: DeliveryPlan | undefined;
  readonly aggregates: AggregatePlan | undefined;
  readonly ledger: Ledger;
  readonly letters: Map<string, DeadLetter> = new Map();
  readonly weather: Weather;
  /** Whether the store notifies workers of changes. */
  readonly push: boolean;
  /** How often all workers are away for longer than the stream's retention. */
  readonly nights: number;
  /** How often Kinesis is unavailable to all. */
  readonly outages: number;
  /** How often shards are split and merged, in addition to the other events. */
  readonly reshards: number;
  readonly start: "LATEST" | "TRIM_HORIZON";
  readonly workers: Worker[] = [];
  /** What happened, and when. */
  readonly trace: string[] = [];
  readonly producer: Producer;
  /** The first violation. */
  violation: Error | undefined;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Random(seed);
    this.deliveryRandom = deliveryRandom(seed);
    this.plan = planOf(this.deliveryRandom);
    this.ledger = new Ledger(this.plan ?? ONE_BY_ONE, () => this.clock.monotonic());
    const random = this.random;
    this.weather = {
      away: false,
      kinesisAway: false,
      lettersAway: false,
      faultsAreOver: false,
      faultRate: random.pick([0, 0.02, 0.1]),
      slow: random.pick([0, 0, 0.3]),
    };
    this.push = random.chance(0.5);
    this.reshards = random.pick([6, 6, 40]);
    const largeRecords = random.pick([0, 0, 0, 4]);
    this.nights = random.pick([0, 0, 0, 3]);
    this.outages = random.pick([0, 0, 0, 3]);
    this.start = random.pick(["LATEST", "TRIM_HORIZON"]);
    this.kinesis = new FakeKinesis({
      clock: this.clock,
      transitionMs: random.pick([0, 300]),
      listingLagMs: random.pick([0, 0, 1000, 8000]),
      omitChildShards: random.chance(0.2),
      // Large records use a shard's write quota for many seconds.
      quotas: { writes: largeRecords === 0 },
      maxRecordsPerPage: random.between(2, 50),
    });
    const aggregates = aggregateRandom(seed);
    this.aggregates = aggregatePlanOf(aggregates, this.plan);
    this.producer = new Producer({
      streamName: STREAM,
      kinesis: this.kinesis,
      clock: this.clock,
      puts: this.ledger.puts,
      random,
      largeRecords,
      plan: this.aggregates,
      aggregateRandom: aggregates,
    });
  }

  /** The workers whose processes are alive. */
  alive(): readonly Worker[] {
    return this.workers.filter(({ alive }) => alive);
  }

  /** Starts another worker. */
  join(): void {
    // Sometimes with the name of a dead worker, which thus returns before it is evicted.
    const died = this.workers.filter(
      ({ id, alive }) => !alive && !this.alive().some((other) => other.id === id),
    );
    const again = died.length > 0 && this.random.chance(0.3);
    const id = again ? this.random.pick(died).id : `w${this.workers.length}`;
    this.note(`${id} joins`, () => {
      this.workers.push(
        new Worker({
          id,
          clock: this.clock,
          kinesis: this.kinesis,
          data: this.data,
          random: this.random,
          weather: this.weather,
          ledger: this.ledger,
          start: this.start,
          link: {
            latencyMs: this.random.pick([0, 0, 10, 150]),
            bandwidth: this.random.pick([undefined, undefined, 4 * MIB]),
          },
          push: this.push,
          plan: this.plan,
          aggregates: this.aggregates,
          deliveryRandom: this.deliveryRandom,
          letters: this.letters,
          onEvicted: (evicted) => this.#judgeEviction(evicted),
          onViolation: (error) => (this.violation ??= error),
        }),
      );
    });
  }

  async put(count: number): Promise<void> {
    await this.producer.put(count);
    this.note(`${count} records are put`);
  }

  /** Records a violation, which ends the story. */
  break(message: string): void {
    this.violation ??= new Violation(message);
  }

  /** Adds an event to the trace, and performs it. */
  note(what: string, act: () => unknown = () => undefined): void {
    this.trace.push(`${Math.round(this.clock.monotonic())} ${what}`);
    act();
  }

  /** Advances time, until there is a violation. */
  async advance(ms: number): Promise<void> {
    const until = this.clock.monotonic() + ms;
    while (!this.violation && this.clock.monotonic() < until) {
      await this.clock.advance(Math.min(1000, until - this.clock.monotonic()));
    }
  }

  /** Checks that an evicted worker had already passed its own deadline. */
  #judgeEviction({ workerId, incarnation }: WorkerIdentity): void {
    if (this.ledger.lenient) return;
    for (const { id, alive, group } of this.workers) {
      if (id !== workerId || !alive) continue;
      const status = group.status();
      if (status.incarnation === incarnation && status.remainingMs > 0) {
        this.break(`${id} is evicted ${status.remainingMs} ms before its own deadline`);
      }
    }
  }
}
