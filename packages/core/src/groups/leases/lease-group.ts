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
 * Shares an application's shards among all processes that run it, by leases in a `LeaseStore`. Each
 * shard is read by one worker at a time; shards are spread evenly, handed over when a worker comes or
 * goes, and taken over from one that has died. Each consumer needs a group of its own.
 *
 * A run is one membership after another: joining → member → (stop) leaving, or → (cannot read) leaving →
 * (can read again) joining, or → (evicted, or the store went back) everything given up → joining as a new
 * incarnation.
 */
export class LeaseGroup implements LeasingGroup {
  readonly needsLeases = true;
  readonly workerId: string;
  readonly #options: CheckedLeaseGroupOptions;
  /** The incarnations that this process has had, and has not left for certain. */
  readonly #earlier = new Set<string>();
  /** The scan that this group works for. */
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

  /** What this worker knows of the application, computed by this call. */
  status(): LeaseGroupStatus {
    return groupStatus(this.workerId, this.#membership, this.#coordinator);
  }

  /** A write that hangs must leave room for others before the lease ends. */
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
    // Of their own: what a round needs no more is settled by it, and a heartbeat that fails is not.
    const roundCalls = new StoreCalls<LeaseStore>(options);
    try {
      for (let known = NOTHING; !signal.aborted;) {
        known = await this.#live(host, { calls, roundCalls }, known, signal);
      }
    } finally {
      host.over.removeEventListener("abort", end);
      end();
    }
  }

  /**
   * One membership, from its join to its end.
   * @param known what an earlier one has seen; answers with what this one saw last
   */
  async #live(
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
      // A store that forgets its workers at once is not asked without a pause.
      await sleep(clock, this.#options.timing.heartbeatMs, signal);
    }
    return view;
  }

  /**
   * Removes the worker's row within the stop's time. Where that fails, the others wait for a lease
   * until they evict it. True = it is gone.
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
 * The store has gone back since it was last seen. What it still has is used, and records repeat.
 * If nothing is left, to continue would be an unwanted first start.
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
