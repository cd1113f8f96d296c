import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { inspect } from "node:util";
import type { LeaseStore } from "../../checkpoints/lease-store.ts";
import { StoreCalls } from "../../checkpoints/store-calls.ts";
import { MOST_WEIGHT } from "../../checkpoints/stored-rows.ts";
import type { Store } from "../../checkpoints/store.ts";
import { MAX_TIMER_MS, sleep } from "../../clock.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { ConfigError, KcError, StoreRegressedError } from "../../errors.ts";
import type { GroupHost, LeasingGroup } from "../group.ts";
import { isLeaseStore } from "../is-lease-store.ts";
import { Coordinator } from "./coordinator.ts";
import { groupStatus, type LeaseGroupStatus } from "./group-status.ts";
import { NOTHING, type View } from "./group-view.ts";
import { Membership } from "./membership.ts";
import { leaseTiming, type LeaseTiming } from "./timing.ts";

export interface LeaseGroupOptions {
  /**
   * This process's name among the workers of the application, without `#` and control characters.
   * Two that live at once must differ. @default the host's name and a random suffix
   */
  readonly workerId?: string;
  /**
   * How long a worker may be silent before the others take its shards, in milliseconds; at least
   * 1000. A handler must give way to the event loop within that time. @default 10000
   */
  readonly leaseMs?: number;
  /** From one heartbeat to the next, in milliseconds: 100 to a tenth of `leaseMs`. @default leaseMs / 10 */
  readonly heartbeatMs?: number;
  /** This worker's share of the shards beside the others' weights; above 0, at most 1e9. @default 1 */
  readonly weight?: number;
  /** The most shards that this worker takes, a whole number from 1. @default no limit */
  readonly maxShards?: number;
  /**
   * A worker that cannot read its shards for so long, although it reaches the store, leaves them to the
   * other workers, and joins again once it can; 1000 or more, in milliseconds. It cannot if Kinesis is
   * out of its reach and not out of another worker's, or if a handler that had a shard before does not
   * return. @default 60000
   */
  readonly yieldAfterMs?: number;
}

const OPTION_NAMES: Readonly<Record<keyof LeaseGroupOptions, true>> = {
  workerId: true,
  leaseMs: true,
  heartbeatMs: true,
  weight: true,
  maxShards: true,
  yieldAfterMs: true,
};
const LEAST_HEARTBEAT_MS = 100;
const WORKER_ID = /^[^#\p{Cc}\p{Surrogate}]{1,200}$/u;

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
  readonly #weight: number;
  readonly #maxShards: number | undefined;
  readonly #yieldAfterMs: number;
  readonly #timing: LeaseTiming;
  /** The incarnations that this process has had, and has not left for certain. */
  readonly #earlier = new Set<string>();
  /** The scan that this group works for. */
  #host: GroupHost | undefined;
  #membership: Membership | undefined;
  #coordinator: Coordinator | undefined;

  /** @throws ConfigError that names the option */
  constructor(options: LeaseGroupOptions = {}) {
    checkOptionNames("LeaseGroup", options, Object.keys(OPTION_NAMES));
    const { leaseMs = 10_000, weight = 1, maxShards, yieldAfterMs = 60_000 } = options;
    const { heartbeatMs = leaseMs / 10, workerId = uniqueWorkerId() } = options;
    if (typeof workerId !== "string" || !WORKER_ID.test(workerId)) {
      throw new ConfigError("workerId", 'a name of 1 to 200 characters without "#" is needed');
    }
    check("leaseMs", leaseMs, leaseMs >= 1000 && leaseMs <= MAX_TIMER_MS, "from 1000 milliseconds");
    const bounds = `from ${LEAST_HEARTBEAT_MS} to a tenth of leaseMs (${leaseMs / 10}) milliseconds`;
    const isWithin = heartbeatMs >= LEAST_HEARTBEAT_MS && heartbeatMs <= leaseMs / 10;
    check("heartbeatMs", heartbeatMs, isWithin, bounds);
    check("weight", weight, weight > 0 && weight <= MOST_WEIGHT, `above 0, at most ${MOST_WEIGHT}`);
    if (maxShards !== undefined) {
      check("maxShards", maxShards, Number.isInteger(maxShards) && maxShards >= 1, "whole, from 1");
    }
    const isYieldTime = yieldAfterMs >= 1000 && yieldAfterMs <= MAX_TIMER_MS;
    check("yieldAfterMs", yieldAfterMs, isYieldTime, "from 1000 milliseconds");
    this.#yieldAfterMs = yieldAfterMs;
    this.workerId = workerId;
    this.#weight = weight;
    this.#maxShards = maxShards;
    this.#timing = leaseTiming(leaseMs, heartbeatMs);
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
    return this.#timing.callTimeoutMs;
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
    const timing = this.#timing;
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
      weight: this.#weight,
      maxShards: this.#maxShards,
      earlier: this.#earlier,
      timing: this.#timing,
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
      timing: this.#timing,
      yieldAfterMs: this.#yieldAfterMs,
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
      await sleep(clock, this.#timing.heartbeatMs, signal);
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
      `was emptied, or is another one. Bring it back, or start over to read from the start once more`,
  );
}

function uniqueWorkerId(): string {
  const name = hostname()
    .replaceAll(/[#\p{Cc}]/gu, "-")
    .slice(0, 190);
  return `${name || "worker"}-${randomBytes(4).toString("hex")}`;
}

function check(name: string, value: unknown, holds: boolean, what: string): void {
  if (typeof value === "number" && holds) return;
  throw new ConfigError(name, `a number ${what} is needed, not ${inspect(value)}`);
}
