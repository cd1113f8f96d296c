import type { LeaseStore } from "../../checkpoints/lease-store.ts";
import { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { Store } from "../../checkpoints/store.ts";
import { sleep } from "../../clock.ts";
import { ConfigError, KcError, StoreRegressedError } from "../../errors.ts";
import type { GroupHost, LeasingGroup } from "../group.ts";
import { isLeaseStore } from "../is-lease-store.ts";
import { Coordinator } from "./coordinator.ts";
import { groupStatus, type LeaseGroupStatus } from "./group-status.ts";
import { NOTHING, type View } from "./group-view.ts";
import {
  checkLeaseGroupOptions,
  type CheckedLeaseGroupOptions,
  type LeaseGroupOptions,
} from "./lease-group-options.ts";
import { Membership } from "./membership.ts";

/**
 * Shares an application's shards among all processes that run it, by leases in a `LeaseStore`. Each shard is read by
 * one worker at a time. Shards are spread evenly, handed over when a worker joins or leaves, and taken over from a
 * worker that has died. Each consumer needs its own group.
 *
 * A run is a sequence of memberships: joining → member, and then one of
 * - (stop) → leaving;
 * - (cannot read) → leaving → (can read again) joining;
 * - (evicted, or store regressed) → all shards lost → joining as a new incarnation.
 */
export class LeaseGroup implements LeasingGroup {
  readonly needsLeases = true;
  readonly workerId: string;
  readonly #options: CheckedLeaseGroupOptions;
  /** Earlier incarnations of this process whose rows may still exist. */
  readonly #earlier = new Set<string>();
  /** The host of the running scan; undefined = no scan runs. */
  #host: GroupHost | undefined;
  #membership: Membership | undefined;
  #coordinator: Coordinator | undefined;

  /** @throws ConfigError that names the option */
  constructor(options: LeaseGroupOptions = {}) {
    this.#options = checkLeaseGroupOptions(options);
    this.workerId = this.#options.workerId;
  }

  /** @throws ConfigError if the store has no leases */
  validate(store: Store | undefined): void {
    if (isLeaseStore(store)) return;
    throw new ConfigError(
      "store",
      "a LeaseGroup needs a LeaseStore, since workers share shards by its leases: the stores of @kc " +
        "are (Postgres, MySQL, Redis, DynamoDB, SQLite)",
    );
  }

  /** Returns a snapshot of the application as this worker sees it. */
  status(): LeaseGroupStatus {
    return groupStatus(this.workerId, this.#membership, this.#coordinator);
  }

  /** Short enough that a write that hangs can be repeated before the lease expires. */
  get storeTimeoutMs(): number {
    return this.#options.timing.callTimeoutMs;
  }

  get lacks(): "membership" | "shards" | undefined {
    if (this.#coordinator === undefined) return "membership";
    return this.#coordinator.lacksShards ? "shards" : undefined;
  }

  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    const { store, clock, random, telemetry } = host;
    if (!isLeaseStore(store)) return this.validate(store);
    if (this.#host) {
      throw new KcError("SCAN_ACTIVE", "this LeaseGroup runs already; give each consumer its own");
    }
    this.#host = host;
    const end = (): void => {
      if (this.#host !== host) return;
      this.#host = this.#membership = this.#coordinator = undefined;
    };
    host.over.addEventListener("abort", end, { once: true });
    const timing = this.#options.timing;
    const timeoutMs = timing.callTimeoutMs;
    const options = { store, clock, random, telemetry, timeoutMs };
    const calls = new StoreCalls<LeaseStore>(options);
    // Separate from `calls`: `settle` at the end of a round must not settle a failing heartbeat.
    const roundCalls = new StoreCalls<LeaseStore>(options);
    try {
      for (let known = NOTHING; !signal.aborted;) {
        known = await this.#runMembership(host, { calls, roundCalls }, known, signal);
      }
    } finally {
      host.over.removeEventListener("abort", end);
      end();
    }
  }

  /**
   * Runs one membership, from its join to its end. Returns its last view.
   * @param known the last view of the previous membership
   */
  async #runMembership(
    host: GroupHost,
    { calls, roundCalls }: Record<"calls" | "roundCalls", StoreCalls<LeaseStore>>,
    known: View,
    signal: AbortSignal,
  ): Promise<View> {
    const { clock, scope, telemetry } = host;
    const membership = new Membership({
      workerId: this.workerId,
      weight: this.#options.weight,
      maxShards: this.#options.maxShards,
      earlier: this.#earlier,
      timing: this.#options.timing,
      calls,
      scope,
      clock,
      telemetry,
    });
    this.#membership = membership;
    this.#coordinator = undefined;
    const { workerId, incarnation } = membership.worker;
    this.#earlier.add(incarnation);
    try {
      await membership.join(signal);
      if (membership.revision < known.revision) await refuseEmptied(host, calls, known, signal);
    } catch (error) {
      await this.#leave(membership, host);
      throw error;
    }
    telemetry.info("joined the group", { workerId, incarnation });
    const coordinator = new Coordinator({
      host,
      calls: roundCalls,
      membership,
      timing: this.#options.timing,
      yieldAfterMs: this.#options.yieldAfterMs,
    });
    this.#coordinator = coordinator;
    const end = await coordinator.run(signal);
    const { view } = coordinator;
    if (end === "stopped" || end === "yielded") {
      if (await this.#leave(membership, host)) coordinator.left();
      if (end === "yielded") {
        this.#coordinator = undefined;
        await host.untilAble(signal);
        telemetry.info("this worker can read again: it joins its group", { workerId });
      }
    } else {
      const { silence } = membership;
      telemetry.warn("this worker is out of the group and joins again", {
        workerId,
        end,
        ...silence,
      });
      // If the store loses its workers again and again, joins must not follow without a pause.
      await sleep(clock, this.#options.timing.heartbeatMs, signal);
    }
    return view;
  }

  /**
   * Removes the worker's row before the scan ends. If that fails, the other workers evict it after a lease duration.
   * Returns whether the row is removed.
   */
  async #leave(membership: Membership, { over, telemetry }: GroupHost): Promise<boolean> {
    const { workerId, incarnation } = membership.worker;
    try {
      await membership.leave(over);
      this.#earlier.delete(incarnation);
      telemetry.info("left the group", { workerId, incarnation });
      return true;
    } catch (error) {
      telemetry.warn("this worker could not leave: its shards are free once it is evicted", {
        workerId,
        error,
      });
      return false;
    }
  }
}

/**
 * Called when the store has gone back to an earlier revision. Progress that is left is used, and records repeat. If
 * nothing is left, continuing would be an unwanted first start.
 * @throws StoreRegressedError
 */
async function refuseEmptied(
  { scope }: GroupHost,
  calls: StoreCalls<LeaseStore>,
  known: View,
  signal: AbortSignal,
): Promise<void> {
  const { leases } = await calls.retry("listLeases", signal, (call) =>
    calls.store.listLeases(scope, call),
  );
  if (leases.length > 0 || known.shards.size === 0) return;
  throw new StoreRegressedError(
    `the store has lost everything of application "${scope.application}" on ${scope.streamName}: it ` +
      `was emptied, or is another one. Restore it, or start again to read from the application's start once more`,
  );
}
