import { ownerOf } from "@kc/core";
import type { Resharding } from "./resharding.ts";
import { LEASE_MS, SCOPE } from "./worker.ts";
import type { World } from "./world.ts";

/**
 * The time after the last fault within which all work must complete: a hanging call to Kinesis
 * times out after 30 s.
 */
const QUIET_MS = 90_000;
/**
 * Additional time for dead letters: a call without an answer times out after 30 s, and backoff
 * follows.
 */
const LETTERS_MS = 90_000;
/** Additional time for user records: many arrive together, and handlers take time for each. */
const AGGREGATES_MS = 90_000;
/** Enough time for calls that a dead process has left in flight. */
const AFTERWARDS_MS = 60_000;

/** The final phase of a story: all work must complete, and the result is checked. */
export class FinalPhase {
  readonly #world: World;
  readonly #resharding: Resharding;

  constructor(world: World, resharding: Resharding) {
    this.#world = world;
    this.#resharding = resharding;
  }

  /**
   * Stops the faults and adds a worker: then all records must be handled, and the shards must be
   * balanced.
   */
  async run(): Promise<void> {
    const world = this.#world;
    world.note("faults stop");
    world.kinesis.faults.clear();
    world.weather.faultRate = 0;
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

  /**
   * Checks that stopped workers hold no memory and no timers. Calls after the end are detected at
   * each call.
   */
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
