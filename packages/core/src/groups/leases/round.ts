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
  /** The calls of the rounds alone. */
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
  /** A worker that cannot read what it holds for so long leaves it to the others, in milliseconds. */
  readonly yieldAfterMs: number;
  readonly held: HeldLeases;
  readonly reporter: LeaseReporter;
  /** Ends with this incarnation. */
  readonly over: AbortSignal;
  /** Begins the next round in so many milliseconds at the latest. */
  readonly wakeIn: (ms: number) => void;
  /** Gets an error that a retry does not fix, of a call in the background. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * One round: look at the rows, plan, hand over, claim, give back what is finished, evict who is
 * silent. Its calls follow one another. What it knows stays from one round to the next.
 */
export class Round {
  readonly #options: RoundOptions;
  readonly #group: GroupView;
  readonly #moves: LeaseMoves;
  readonly #metrics: GroupMetrics;
  readonly #hints: HintPace;
  readonly #ability: ReadAbility;
  readonly #listingTurn = new ListingTurn();
  /** By the monotonic clock. */
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

  /** How many shards are planned for this worker; undefined = no shards are known. */
  get share(): number | undefined {
    return this.#share;
  }

  /** When a silent worker is due, by the monotonic clock; Infinity = none is. */
  get nextDue(): number {
    return this.#group.nextDue;
  }

  /** The store hints at a change. Returns how soon a round should follow, in milliseconds. */
  hint(): number {
    return this.#hints.hint();
  }

  /** The rows may have changed: the next look reads them whatever the revision says. */
  expectChange(): void {
    this.#group.expectChange();
  }

  /** The incarnation is over. */
  stop(): void {
    this.#ability.stop();
    this.#metrics.end();
  }

  /**
   * `evicted`: this worker's row is gone. `cannot-read`: this worker should leave its shards to others.
   * @throws StoreError
   */
  async run(stop: AbortSignal): Promise<"evicted" | "cannot-read" | undefined> {
    const { held, calls, wakeIn } = this.#options;
    const isChanged = await this.#group.look();
    this.#hints.looked(isChanged);
    if (!this.#group.isListed) return "evicted";
    if (stop.aborted) return undefined;
    this.#discover();
    if (await this.#moves.announceChildren(this.view.shards)) wakeIn(0);
    if (isChanged) await this.#act(stop);
    const finished = held.settled().filter((lease) => this.#mayGo(lease));
    await this.#moves.giveBack(finished, (lease) => this.#isGone(lease));
    this.#metrics.update(this.view, held.size, this.#rank === 0);
    if (await this.#group.evictOverdue()) wakeIn(0);
    const isAble = await this.#isAble();
    const refresh = this.#group.takeRefresh();
    if (isAble && refresh.length > 0) await this.#moves.put(refresh);
    calls.settle();
    return isAble ? undefined : "cannot-read";
  }

  /** The worker leaves: gives back what is finished, without a look. @throws StoreError */
  async giveBackAll(): Promise<void> {
    await this.#moves.announceChildren(this.view.shards);
    await this.#moves.giveBack(this.#options.held.settled(), () => false);
  }

  get #rank(): number {
    return rankOf(this.view, this.#options.membership.worker.workerId);
  }

  async #isAble(): Promise<boolean> {
    const { host, held, membership } = this.#options;
    const why = await this.#ability.lacking(this.view, (shardId) => held.has(shardId));
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
    const isAsked = held.settled().some(({ state }) => state.outcome.kind === "aged-out");
    const turn = this.#listingTurn.at(this.view, workerId, isAsked, host.clock.monotonic());
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
   * A shard that ended stays in hand until its children are in the view, and so were claimed: they go
   * to the same worker. One that Kinesis does not know stays until listings say whether it is gone,
   * or was too young. Otherwise it would be claimed and requested again and again.
   */
  #mayGo(lease: SettledLease): boolean {
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
