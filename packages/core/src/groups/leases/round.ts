import type { LeaseStore } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { GroupHost } from "../group.ts";
import { GroupMetrics } from "./group-metrics.ts";
import { GroupView, type View } from "./group-view.ts";
import type { SettledLease } from "./held-lease.ts";
import type { HeldLeases } from "./held-leases.ts";
import { HintPace } from "./hint-pace.ts";
import { LeaseMoves } from "./lease-moves.ts";
import type { LeaseReporter } from "./lease-reporter.ts";
import { ListingTurn, rankOf } from "./listing-turn.ts";
import type { Membership } from "./membership.ts";
import { ReadAbility } from "./read-ability.ts";
import { isFirstStart, roundPlanOf } from "./round-plan.ts";
import { FIRST_GATHER_MS, GATHER_MS, type LeaseTiming } from "./timing.ts";

export interface RoundOptions {
  readonly host: GroupHost;
  /** Used for the calls of rounds only. */
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
  /** After how many milliseconds a worker that cannot read its shards leaves them to others. */
  readonly yieldAfterMs: number;
  readonly held: HeldLeases;
  readonly reporter: LeaseReporter;
  /** Aborts when this incarnation ends. */
  readonly over: AbortSignal;
  /** Begins the next round in `ms` milliseconds at the latest. */
  readonly wakeIn: (ms: number) => void;
  /** Receives errors of background calls that retries cannot fix. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Runs rounds: read the rows, plan, hand over, claim, release settled leases, evict silent workers. The calls of a
 * round are sequential. State is kept from one round to the next.
 */
export class Round {
  readonly #options: RoundOptions;
  readonly #group: GroupView;
  readonly #moves: LeaseMoves;
  readonly #metrics: GroupMetrics;
  readonly #hints: HintPace;
  readonly #ability: ReadAbility;
  readonly #listingTurn = new ListingTurn();
  /** Before this time, by the monotonic clock, nothing is claimed in a first start. */
  readonly #claimFirstFrom: number;
  #share: number | undefined;

  constructor(options: RoundOptions) {
    const { host, membership, timing, wakeIn } = options;
    this.#options = options;
    this.#metrics = new GroupMetrics(host.telemetry, host.clock);
    this.#hints = new HintPace(GATHER_MS, timing.heartbeatMs);
    this.#group = new GroupView({ ...options, onNews: () => wakeIn(0) });
    this.#moves = new LeaseMoves({
      ...options,
      silentSince: (owner) => this.#group.silentSince(owner),
      row: (shardId) => this.view.shards.get(shardId),
      onMove: () => this.#group.expectChange(),
    });
    this.#ability = new ReadAbility({
      ...options,
      worker: membership.worker,
      put: (shards) => this.#moves.put(shards),
    });
    this.#claimFirstFrom = host.clock.monotonic() + FIRST_GATHER_MS;
  }

  get view(): View {
    return this.#group.view;
  }

  /** Number of shards planned for this worker; undefined = no shards are known. */
  get share(): number | undefined {
    return this.#share;
  }

  /** When the next silent worker can be evicted, by the monotonic clock; Infinity = there is none. */
  get nextDue(): number {
    return this.#group.nextDue;
  }

  /** Called when the store hints at a change. Returns the delay until the next round, in milliseconds. */
  hint(): number {
    return this.#hints.hint();
  }

  /** Forces the next round to read the leases, even if the revision has not changed. */
  expectChange(): void {
    this.#group.expectChange();
  }

  /** Called when the incarnation has ended. */
  stop(): void {
    this.#ability.stop();
    this.#metrics.end();
  }

  /**
   * Runs a round. Returns `evicted` if this worker's row is gone, and `cannot-read` if it should leave its shards to
   * others. @throws StoreError
   */
  async run(stop: AbortSignal): Promise<"evicted" | "cannot-read" | undefined> {
    const { held, calls, wakeIn } = this.#options;
    const isChanged = await this.#group.update();
    this.#hints.updated(isChanged);
    if (!this.#group.isListed) return "evicted";
    if (stop.aborted) return undefined;
    this.#discover();
    if (await this.#moves.announceChildren(this.view.shards)) wakeIn(0);
    if (isChanged) await this.#act(stop);
    const releasable = held.settled().filter((lease) => this.#isReleasable(lease));
    await this.#moves.release(releasable, (lease) => this.#isGone(lease));
    this.#metrics.update(this.view, held.size, this.#rank === 0);
    if (await this.#group.evictOverdue()) wakeIn(0);
    const isAble = await this.#isAble();
    const refresh = this.#group.takeRefresh();
    if (isAble && refresh.length > 0) await this.#moves.put(refresh);
    calls.settle();
    return isAble ? undefined : "cannot-read";
  }

  /** Releases all settled leases when the worker leaves, without reading the rows. @throws StoreError */
  async releaseSettled(): Promise<void> {
    await this.#moves.announceChildren(this.view.shards);
    await this.#moves.release(this.#options.held.settled(), () => false);
  }

  get #rank(): number {
    return rankOf(this.view, this.#options.membership.worker.workerId);
  }

  async #isAble(): Promise<boolean> {
    const { host, held, membership } = this.#options;
    const why = await this.#ability.whyUnable(this.view, (shardId) => held.has(shardId));
    if (why === undefined) return true;
    host.telemetry.warn("this worker cannot read: it leaves its shards to the others", {
      workerId: membership.worker.workerId,
      why,
    });
    return false;
  }

  #discover(): void {
    const { host, held, membership } = this.#options;
    const { workerId } = membership.worker;
    const isRequired = held.settled().some(({ state }) => state.outcome.kind === "aged-out");
    const turn = this.#listingTurn.at(this.view, workerId, isRequired, host.clock.monotonic());
    if (turn !== undefined) this.#group.discover(turn === "hurried");
  }

  async #act(stop: AbortSignal): Promise<void> {
    const { host, held, membership, wakeIn } = this.#options;
    const { shards } = this.view;
    held.checkRows(shards);
    const plan = roundPlanOf(
      membership.worker,
      this.view,
      (shardId) => held.has(shardId),
      (shard) => this.#moves.isReleasing(shard),
    );
    this.#share = shards.size === 0 ? undefined : plan.share;
    this.#moves.handOver(plan.handOver);
    const gatherMs = this.#claimFirstFrom - host.clock.monotonic();
    if (gatherMs > 0 && isFirstStart(this.view)) {
      this.#group.expectChange();
      return wakeIn(gatherMs);
    }
    if (!stop.aborted) await this.#moves.claim(plan, shards);
  }

  /**
   * An ended shard is held until its children are in the view and so were claimed: they go to the same worker. A
   * shard that Kinesis reported as not found is held until listings show whether it is gone or was too new;
   * otherwise it would be claimed and requested again and again.
   */
  #isReleasable(lease: SettledLease): boolean {
    const { outcome, at } = lease.state;
    if (outcome.kind === "ended") {
      return outcome.children.every((child) => this.view.shards.has(child.shardId));
    }
    if (outcome.kind !== "aged-out") return true;
    return this.#isGone(lease) || this.#group.isNamed(lease.shardId, at);
  }

  #isGone({ shardId, state }: SettledLease): boolean {
    return state.outcome.kind === "aged-out" && this.#group.isGone(shardId);
  }
}
