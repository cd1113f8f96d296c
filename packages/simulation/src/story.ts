import { FinalPhase } from "./final-phase.ts";
import { Resharding } from "./resharding.ts";
import { Faults } from "./faults.ts";
import { MAX_WORKERS, World } from "./world.ts";

/** What happened, and when: the same for the same seed. */
export interface Outcome {
  readonly seed: number;
  readonly violation: Error | undefined;
  readonly trace: readonly string[];
  readonly records: number;
  readonly repeats: number;
}

/**
 * Runs the story of one seed: workers join, leave, die and freeze, the stream is resharded, and
 * everything fails at times.
 */
export async function runStory(seed: number): Promise<Outcome> {
  const world = new World(seed);
  await new Story(world).run();
  return {
    seed,
    violation: world.violation,
    trace: world.trace,
    records: world.producer.records,
    repeats: world.ledger.repeats,
  };
}

class Story {
  readonly #world: World;
  readonly #resharding: Resharding;
  readonly #faults: Faults;

  constructor(world: World) {
    this.#world = world;
    this.#resharding = new Resharding(world);
    this.#faults = new Faults(world);
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { random, plan, aggregates } = world;
    if (plan !== undefined) world.note(`delivery: ${JSON.stringify(plan)}`);
    if (aggregates !== undefined) world.note(`aggregates: ${JSON.stringify(aggregates)}`);
    await this.#resharding.create(random.between(1, 4));
    await world.clock.advance(60_000);
    for (let n = random.between(1, 4); n > 0; n -= 1) world.join();
    // A start at LATEST guarantees only later records.
    await world.advance(random.between(4000, 6000));
    const steps = random.between(10, 40);
    for (let step = 0; step < steps && !world.violation; step += 1) {
      await this.#step();
      await world.advance(
        random.chance(0.1) ? random.between(3000, 9000) : random.between(1, 1500),
      );
    }
    if (!world.violation) await new FinalPhase(world, this.#resharding).run();
  }

  async #step(): Promise<void> {
    const world = this.#world;
    const faults = this.#faults;
    const { random, plan } = world;
    const worker = random.pick(world.workers);
    const events: readonly (readonly [weight: number, act: () => unknown])[] = [
      [40, () => world.put(random.between(1, 12))],
      [world.reshards, () => this.#resharding.reshard()],
      [8, () => world.alive().length < MAX_WORKERS && world.join()],
      [6, () => world.note(`${worker.id} is stopped`, () => worker.stop())],
      [6, () => world.note(`${worker.id} is killed`, () => worker.kill())],
      [8, () => faults.freeze(worker)],
      [5, () => faults.cutOff(worker)],
      [5, () => faults.cutOffAfterHeartbeat(worker)],
      [4, () => faults.cutOffInHandOff(worker)],
      [8, () => faults.slowHandler(worker)],
      [2, () => faults.setClock(worker)],
      [2, () => faults.refuse(worker)],
      [3, () => faults.outage()],
      [2, () => faults.failOver()],
      [8, () => faults.kinesisFault(worker)],
      [world.nights, () => faults.outlastRetention()],
      [world.outages, () => faults.kinesisOutage()],
      [plan?.onFailure === "queue" ? 6 : 0, () => faults.queueOutage()],
      [plan === undefined ? 0 : 4, () => faults.pause(worker)],
    ];
    let roll = random.next() * events.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of events) {
      roll -= weight;
      if (roll < 0) return void (await act());
    }
  }
}
