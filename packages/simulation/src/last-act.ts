import { ownerOf } from "@kc/core";
import type { Resharding } from "./resharding.ts";
import { LEASE_MS, SCOPE } from "./worker.ts";
import type { World } from "./world.ts";

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

/** The end of a story: all comes to rest, and is judged. */
export class LastAct {
  readonly #world: World;
  readonly #resharding: Resharding;

  constructor(world: World, resharding: Resharding) {
    this.#world = world;
    this.#resharding = resharding;
  }

  /** Faults stop, one more worker comes, and all must be handled, spread and settled. */
  async play(): Promise<void> {
    const world = this.#world;
    world.note("faults stop");
    world.kinesis.faults.clear();
    world.weather.trouble = 0;
    world.weather.slow = 0;
    world.weather.away = false;
    world.weather.lettersAway = false;
    world.weather.faultsAreOver = true;
    for (const worker of world.workers) {
      worker.process.thaw();
      worker.kinesis.faults.clear();
      worker.weather.away = false;
      worker.weather.refused = false;
      worker.onHeartbeat = worker.onHandOff = undefined;
      worker.handler.slow = { until: -Infinity, ms: 0 };
    }
    world.join();
    await world.advance(
      QUIET_MS +
        (world.plan?.onFailure === "queue" ? LETTERS_MS : 0) +
        (world.aggregates === undefined ? 0 : AGGREGATES_MS),
    );
    if (world.violation) return;
    const unfinished = world.ledger.unfinished();
    if (unfinished.length > 0) return world.break(`never handled: ${unfinished.join(", ")}`);
    const silent = world.ledger.leftOutInSilence();
    if (silent.length > 0) return world.break(`left out in silence: ${silent.join(", ")}`);
    await this.#judgeBalance();
    for (const worker of world.alive()) worker.stop();
    await world.advance(3 * LEASE_MS);
    const stuck = world.workers.filter(({ process, ended }) => process.state !== "dead" && !ended);
    if (stuck.length > 0) world.break(`${stuck.map(({ id }) => id).join(", ")} does not stop`);
    const failed = world.workers.filter(({ ended }) => ended?.error !== undefined);
    if (world.violation) return;
    await this.#judgeRest();
    world.note(`ended; ${failed.length} stops ran out of time`);
  }

  /** Who has stopped holds nothing and waits for nothing; that it calls nobody is seen at each call. */
  async #judgeRest(): Promise<void> {
    await this.#world.advance(AFTERWARDS_MS);
    if (this.#world.clock.pendingTimers > 0) {
      this.#world.break(`${this.#world.clock.pendingTimers} timers are set when all has stopped`);
    }
    for (const { id, process, group, held } of this.#world.workers) {
      if (process.state === "dead") continue;
      if (group.status().state !== "idle") this.#world.break(`${id}'s group is not idle`);
      if (held > 0) this.#world.break(`${id} stopped and holds ${held} bytes`);
    }
  }

  async #judgeBalance(): Promise<void> {
    const open = await this.#resharding.open();
    const { workers, shards } = this.#world.data.application(SCOPE);
    const living = new Map([...workers.values()].map((row) => [ownerOf(row), row.workerId]));
    const expected = this.#world
      .alive()
      .map(({ id }) => id)
      .toSorted();
    const members = [...living.values()].toSorted();
    if (members.join() !== expected.join()) {
      return this.#world.break(`the members are ${members.join()}, and ${expected.join()} live`);
    }
    const shares = new Map(expected.map((id) => [id, 0]));
    for (const { id } of open) {
      const owner = living.get(shards.get(id)?.owner ?? "");
      if (owner === undefined) return this.#world.break(`nobody reads ${id}`);
      shares.set(owner, shares.get(owner)! + 1);
    }
    const counts = [...shares.values()];
    if (Math.max(...counts) - Math.min(...counts) > 1) {
      this.#world.break(`unbalanced: ${JSON.stringify([...shares])}`);
    }
  }
}
