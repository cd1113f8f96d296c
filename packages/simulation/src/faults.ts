import { LEASE_MS, SCOPE, type Worker } from "./worker.ts";
import { MAX_WORKERS, type World } from "./world.ts";

/** The faults of a story: of workers, of the store, of Kinesis, and of the dead-letter queue. */
export class Faults {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  freeze(worker: Worker): void {
    const ms = this.#world.random.between(500, 4 * LEASE_MS);
    this.#world.note(`${worker.id} is frozen for ${ms} ms`, () => worker.process.freeze());
    this.#world.clock.setTimer(() => worker.process.thaw(), ms);
  }

  /** Cuts one worker off from the store, sometimes with a change of its clock in the meantime. */
  cutOff(worker: Worker): void {
    const ms = this.#world.random.between(500, 4 * LEASE_MS);
    this.#world.note(
      `${worker.id} alone is cut off for ${ms} ms`,
      () => (worker.weather.away = true),
    );
    if (this.#world.random.chance(0.3)) this.setClock(worker);
    this.#world.clock.setTimer(() => (worker.weather.away = false), ms);
  }

  /** Cuts a worker off right after a heartbeat, when it takes longest to be noticed. */
  cutOffAfterHeartbeat(worker: Worker): void {
    const ms = this.#world.random.between(LEASE_MS, 4 * LEASE_MS);
    worker.onHeartbeat = () => {
      this.#world.note(`${worker.id} is cut off after its heartbeat for ${ms} ms`);
      worker.weather.away = true;
      this.#world.clock.setTimer(() => (worker.weather.away = false), ms);
    };
  }

  /** Cuts a worker off so that it is evicted during a hand-off that waits for a handler. */
  async cutOffInHandOff(worker: Worker): Promise<void> {
    worker.handler.slow = { until: this.#world.clock.monotonic() + 20_000, ms: 12_000 };
    await this.#world.put(12);
    await this.#world.advance(2000);
    worker.onHandOff = () => {
      const ms = this.#world.random.between(LEASE_MS, LEASE_MS + 3000);
      this.#world.note(`${worker.id} is cut off in its hand-off for ${ms} ms`);
      worker.weather.away = true;
      this.#world.clock.setTimer(() => (worker.weather.away = false), ms);
    };
    if (this.#world.alive().length < MAX_WORKERS) this.#world.join();
  }

  /**
   * Lets the store refuse its claims permanently: the worker must end, after its handlers have
   * ended, and leave.
   */
  refuse(worker: Worker): void {
    this.#world.note(`${worker.id}'s claims are refused for good`, () => {
      worker.weather.refused = true;
      worker.handler.slow = { until: this.#world.clock.monotonic() + 30_000, ms: 3000 };
    });
  }

  /** Makes its handler slow for a while. */
  slowHandler(worker: Worker): void {
    const ms = this.#world.random.pick([50, 400, 1500, 4000, 12_000]);
    const forMs = this.#world.random.between(2000, 20_000);
    this.#world.note(`${worker.id}'s handler takes ${ms} ms a record for ${forMs} ms`, () => {
      worker.handler.slow = { until: this.#world.clock.monotonic() + forMs, ms };
    });
  }

  setClock(worker: Worker): void {
    const ms = this.#world.random.between(-40_000, 40_000);
    this.#world.note(`${worker.id}'s clock is set by ${ms} ms`, () => worker.process.jumpWall(ms));
  }

  outage(): void {
    const ms = this.#world.random.between(500, 3 * LEASE_MS);
    this.#world.note(`the store is away for ${ms} ms`, () => (this.#world.weather.away = true));
    this.#world.clock.setTimer(() => (this.#world.weather.away = false), ms);
  }

  /** Pauses all its shards, or one of them. */
  pause(worker: Worker): void {
    const random = this.#world.deliveryRandom;
    const ms = random.between(500, 3 * LEASE_MS);
    const { shardIds } = worker;
    const shardId = random.chance(0.5) && shardIds.length > 0 ? random.pick(shardIds) : undefined;
    this.#world.note(`${worker.id} is paused for ${ms} ms: ${shardId ?? "all shards"}`, () => {
      this.#world.clock.setTimer(worker.pause(shardId), ms);
    });
  }

  queueOutage(): void {
    const ms = this.#world.deliveryRandom.between(500, 4 * LEASE_MS);
    this.#world.note(
      `the dead-letter queue is away for ${ms} ms`,
      () => (this.#world.weather.lettersAway = true),
    );
    this.#world.clock.setTimer(() => (this.#world.weather.lettersAway = false), ms);
  }

  /**
   * The store fails over to a lagging copy. For two lease durations its earlier answers are void,
   * and two workers may hold one lease.
   */
  failOver(): void {
    const application = this.#world.data.application(SCOPE);
    const { revision, shards, workers } = application;
    const copy = structuredClone({ revision, shards: [...shards], workers: [...workers] });
    const ms = this.#world.random.between(200, 8000);
    this.#world.clock.setTimer(() => {
      // Data that the copy never had is lost. Losing all data is not simulated.
      if (copy.shards.length === 0) return;
      this.#world.note(`the store fails over to what it was ${ms} ms ago`);
      this.#world.ledger.lenientUntil = this.#world.clock.monotonic() + 3 * LEASE_MS;
      this.#world.ledger.wentBack(new Map(copy.shards.map(([id, { epoch }]) => [id, epoch])));
      application.revision = copy.revision;
      shards.clear();
      workers.clear();
      for (const [id, shard] of copy.shards) shards.set(id, shard);
      for (const [id, worker] of copy.workers) workers.set(id, worker);
    }, ms);
  }

  /** Stops all workers until all records so far, and ended shards, have expired. */
  async outlastRetention(): Promise<void> {
    this.#world.note("all are killed, and nobody comes for 25 hours");
    for (const worker of this.#world.workers) worker.kill();
    await this.#world.clock.advance(25 * 3_600_000);
    this.#world.ledger.trim();
    this.#world.join();
    if (this.#world.random.chance(0.5)) this.#world.join();
  }

  /**
   * Kinesis is unreachable for ten minutes: no worker may leave, since no other could read in its
   * place. Only at the beginning one may leave, because of another worker's note from just before.
   */
  async kinesisOutage(): Promise<void> {
    const ms = 600_000;
    this.#world.note(`Kinesis is away for ${ms} ms`);
    for (const { kinesis } of this.#world.workers) kinesis.faults.blackHole({ ms });
    await this.#world.advance(60_000);
    this.#world.weather.kinesisAway = true;
    await this.#world.advance(ms - 60_000);
    this.#world.weather.kinesisAway = false;
  }

  kinesisFault({ id, kinesis: { faults } }: Worker): void {
    const random = this.#world.random;
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
    this.#world.note(`${operation} fails for ${id} ${what}`, plan);
  }
}
