import { LastAct } from "./last-act.ts";
import { Resharding } from "./resharding.ts";
import { Trouble } from "./trouble.ts";
import { MOST_WORKERS, World } from "./world.ts";

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
  readonly #trouble: Trouble;

  constructor(world: World) {
    this.#world = world;
    this.#resharding = new Resharding(world);
    this.#trouble = new Trouble(world);
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
    if (!world.violation) await new LastAct(world, this.#resharding).play();
  }

  async #step(): Promise<void> {
    const world = this.#world;
    const trouble = this.#trouble;
    const { random, plan } = world;
    const worker = random.pick(world.workers);
    const events: readonly (readonly [weight: number, act: () => unknown])[] = [
      [40, () => world.put(random.between(1, 12))],
      [world.reshards, () => this.#resharding.reshard()],
      [8, () => world.alive().length < MOST_WORKERS && world.join()],
      [6, () => world.note(`${worker.id} is stopped`, () => worker.stop())],
      [6, () => world.note(`${worker.id} is killed`, () => worker.kill())],
      [8, () => trouble.freeze(worker)],
      [5, () => trouble.cutOff(worker)],
      [5, () => trouble.cutOffAfterHeartbeat(worker)],
      [4, () => trouble.cutOffInHandOff(worker)],
      [8, () => trouble.slowHandler(worker)],
      [2, () => trouble.setClock(worker)],
      [2, () => trouble.refuse(worker)],
      [3, () => trouble.outage()],
      [2, () => trouble.failOver()],
      [8, () => trouble.kinesisFault(worker)],
      [world.nights, () => trouble.sleepOver()],
      [world.outages, () => trouble.kinesisOutage()],
      [plan?.onFailure === "queue" ? 6 : 0, () => trouble.queueOutage()],
      [plan === undefined ? 0 : 4, () => trouble.pause(worker)],
    ];
    let roll = random.next() * events.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of events) {
      roll -= weight;
      if (roll < 0) return void (await act());
    }
  }
}
