import type { LeaseStore } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import { KcError, StoreRegressedError } from "../../errors.ts";
import type { GroupHost } from "../group.ts";
import { Alarm } from "../alarm.ts";
import { GroupMetrics } from "./group-metrics.ts";
import { GroupView, type View } from "./group-view.ts";
import { HintPace } from "./hint-pace.ts";
import { HeldLeases, type HeldLease } from "./held-leases.ts";
import { LeaseMoves } from "./lease-moves.ts";
import { LeaseReporter } from "./lease-reporter.ts";
import { needsListing, type LeasedShard } from "./leased-shard.ts";
import type { Membership, MembershipEnd } from "./membership.ts";
import { ReadAbility } from "./read-ability.ts";
import { roundPlanOf } from "./round-plan.ts";
import { FIRST_GATHER_MS, GATHER_MS, LISTER_PATIENCE_MS, type LeaseTiming } from "./timing.ts";

export interface CoordinatorOptions {
  readonly host: GroupHost;
  /** Of the rounds alone. */
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
  /** A worker that cannot read what it holds for so long gives it to the others, in milliseconds. */
  readonly yieldAfterMs: number;
}

/**
 * What one incarnation does about shards, in rounds, one after another: look at the rows, plan, hand
 * over, claim, give back what is finished, evict who is silent. A round comes with each heartbeat, and
 * sooner when the store hints at a change or a shard's reading has ended.
 *
 * Its calls follow one another, so that a look sees whatever was claimed and given back before it.
 * A call that fails leaves its work to the next round, which goes by the rows alone: what took
 * effect although its reply was lost is found there.
 *
 * member → (the scan stops, an error that no retry mends stops it, or it cannot read) leaving: it beats
 * on, and gives back what is finished → (all is finished) over; from anywhere → (evicted, regressed, or the scan is
 * over) over.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #alarm: Alarm;
  readonly #held: HeldLeases;
  readonly #group: GroupView;
  readonly #moves: LeaseMoves;
  readonly #reporter: LeaseReporter;
  readonly #figures: GroupMetrics;
  readonly #hints: HintPace;
  /** Aborts with this incarnation's end. */
  readonly #over = new AbortController();
  readonly #claimFirstFrom: number;
  /** Since when the rows have lacked what a listing would bring, by the monotonic clock. */
  #lackingSince: number | undefined;
  /** How many shards are planned for this worker; undefined = no shards are known. */
  #share: number | undefined;
  readonly #ability: ReadAbility;
  #yields = false;
  #failures = 0;
  #end: MembershipEnd | undefined;
  #hasFailed = false;

  constructor(options: CoordinatorOptions) {
    const { host } = options;
    this.#options = options;
    this.#reporter = new LeaseReporter(host.telemetry);
    this.#figures = new GroupMetrics(host.telemetry, host.clock);
    this.#alarm = new Alarm(host.clock);
    this.#hints = new HintPace(GATHER_MS, options.timing.heartbeatMs);
    this.#held = new HeldLeases(
      host.clock,
      (assignment) => host.read(assignment),
      () => this.#alarm.ring(0),
    );
    this.#group = new GroupView({
      ...options,
      over: this.#over.signal,
      onNews: () => this.#alarm.ring(0),
      onFailure: (error) => this.#fail(error),
    });
    this.#moves = new LeaseMoves({
      ...options,
      held: this.#held,
      over: this.#over.signal,
      reporter: this.#reporter,
      silentSince: (owner) => this.#group.silentSince(owner),
      row: (shardId) => this.view.shards.get(shardId),
      onMove: () => this.#group.expectChange(),
    });
    this.#ability = new ReadAbility({
      ...options,
      worker: options.membership.worker,
      put: (shards) => this.#moves.put(shards),
    });
    this.#claimFirstFrom = host.clock.monotonic() + FIRST_GATHER_MS;
  }

  get view(): View {
    return this.#group.view;
  }

  /** Is it not known yet what this worker is to read, or has it none of that? */
  get lacksShards(): boolean {
    return this.#share === undefined || (this.#share > 0 && this.#held.size === 0);
  }

  get leases(): readonly HeldLease[] {
    return [...this.#held];
  }

  /**
   * Resolves when the signal has aborted and nothing is read any more, or when the membership has
   * ended by itself and all was given up. What is still held then goes with the membership.
   */
  async run(signal: AbortSignal): Promise<MembershipEnd> {
    const { host, membership } = this.#options;
    const over = this.#over.signal;
    const onStop = (): void => this.#alarm.ring(0);
    const onScanOver = (): void => this.#finish("stopped");
    signal.addEventListener("abort", onStop, { once: true });
    host.over.addEventListener("abort", onScanOver, { once: true });
    if (host.over.aborted) onScanOver();
    const beating = membership
      .beat(over, (error) => this.#fail(error))
      .then((end) => this.#finish(end));
    void this.#watchForHints();
    try {
      while (!over.aborted) {
        await (signal.aborted || this.#yields ? this.#leave() : this.#round(signal));
        await this.#alarm.wait(this.#untilNextMs());
      }
      await beating;
      if (this.#end === "evicted" || this.#end === "regressed") await this.#giveUp();
      return this.#end!;
    } finally {
      this.#ability.stop();
      signal.removeEventListener("abort", onStop);
      host.over.removeEventListener("abort", onScanOver);
      this.#figures.end();
    }
  }

  /** The membership's row is gone by `leave`, and with it every lease that was still held. */
  left(): void {
    this.#moves.reportGivenBack(this.#held.settled());
  }

  /** With the next heartbeat, or when a silent worker is due. */
  #untilNextMs(): number {
    const { host, timing } = this.#options;
    // Workers that were started together do not look together for ever.
    const untilNextMs = timing.heartbeatMs * (0.9 + 0.2 * host.random());
    if (this.#failures > 0) return untilNextMs;
    return Math.min(untilNextMs, Math.max(1, this.#group.nextDue - host.clock.monotonic()));
  }

  async #watchForHints(): Promise<void> {
    const { host, calls } = this.#options;
    const onHint = (): void => this.#alarm.ring(this.#hints.hint());
    try {
      await calls.store.watch?.(host.scope, onHint, this.#over.signal);
    } catch (error) {
      host.telemetry.warn("the store's push does not work: changes are seen by heartbeats alone", {
        error,
      });
    }
  }

  #finish(end: MembershipEnd): void {
    this.#end ??= end;
    this.#over.abort(new Error("this worker's membership is over"));
    this.#alarm.ring(0);
  }

  /** The scan stops by it, and what is in hand is finished and flushed while heartbeats go on. */
  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.host.fail(error);
  }

  /** Whatever is still in hand may be another's: nothing more is begun, nothing more is written. */
  async #giveUp(): Promise<void> {
    const detail =
      this.#end === "regressed"
        ? "the store went back to an earlier state, in which another may hold it"
        : "this worker was silent for a lease's duration, and was evicted";
    for (const lease of this.#held) lease.lose(detail);
    while (this.#held.settled().length < this.#held.size) await this.#alarm.wait(Infinity);
    for (const lease of this.#held) this.#reporter.lost(lease);
  }

  async #round(stop: AbortSignal): Promise<void> {
    try {
      const changed = await this.#group.look();
      this.#hints.looked(changed);
      if (!this.#group.isListed) return this.#finish("evicted");
      if (stop.aborted) return;
      this.#discover();
      if (await this.#moves.announceChildren(this.view.shards)) this.#alarm.ring(0);
      if (changed) await this.#act(stop);
      const finished = this.#held.settled().filter((lease) => this.#mayGo(lease));
      await this.#moves.giveBack(finished, (lease) => this.#isGone(lease));
      this.#figures.update(this.view, this.#held.size, this.#rank() === 0);
      if (await this.#group.evictOverdue()) this.#alarm.ring(0);
      await this.#yieldUnlessAble();
      this.#options.calls.settle();
      this.#failures = 0;
    } catch (error) {
      this.#onRoundFailed(error);
    }
  }

  /** What this worker cannot read goes to the others, if they can. */
  async #yieldUnlessAble(): Promise<void> {
    const { host, membership } = this.#options;
    const why = await this.#ability.lacking(this.view, (shardId) => this.#held.has(shardId));
    if (why === undefined) return;
    host.telemetry.warn("this worker cannot read: it leaves its shards to the others", {
      workerId: membership.worker.workerId,
      why,
    });
    this.#yields = true;
    for (const lease of this.#held) {
      lease.handOff({ kind: "hand-off", deadlineMs: host.drainTimeoutMs });
    }
    this.#alarm.ring(0);
  }

  /** The scan stops: nothing is looked at any more, and what is finished is given back at once. */
  async #leave(): Promise<void> {
    try {
      await this.#moves.announceChildren(this.view.shards);
      await this.#moves.giveBack(this.#held.settled(), () => false);
    } catch (error) {
      this.#onRoundFailed(error);
    }
    // What could not be given back goes with this worker's row.
    if (this.#held.settled().length < this.#held.size) return;
    this.#finish(this.#yields ? "yielded" : "stopped");
  }

  #onRoundFailed(error: unknown): void {
    const { telemetry } = this.#options.host;
    if (this.#over.signal.aborted) return;
    this.#group.expectChange();
    this.#failures += 1;
    if (error instanceof StoreRegressedError && this.view.revision > 0) {
      telemetry.error("all leases are given up", { error });
      telemetry.add("errors", 1, { error: error.code });
      return this.#finish("regressed");
    }
    if (!KcError.is(error) || !error.retryable) return this.#fail(error);
    telemetry.add("retries", 1, { operation: "leases", error: error.code });
  }

  /** How many workers come before this one. */
  #rank(): number {
    const { workerId } = this.#options.membership.worker;
    return this.view.workers.filter((row) => row.workerId < workerId).length;
  }

  /**
   * One worker lists the stream's shards for all: the one with the lowest id. It may be unable to, so
   * where the rows go on lacking something, the next ones list too, one after another.
   */
  #discover(): void {
    if (this.view.workers.length === 0) return;
    const now = this.#options.host.clock.monotonic();
    const lacking = needsListing(this.view.shards);
    this.#lackingSince = lacking ? (this.#lackingSince ?? now) : undefined;
    const isTurn = now - (this.#lackingSince ?? now) >= this.#rank() * LISTER_PATIENCE_MS;
    const isAsked = this.#held.settled().some(({ outcome }) => outcome?.kind === "aged-out");
    if (this.#rank() === 0 || (lacking && isTurn) || isAsked) {
      this.#group.discover(lacking || isAsked);
    }
  }

  /**
   * A shard that ended stays in hand until its children are in the view, and so were claimed: they go
   * to the same worker. One that Kinesis does not know stays until listings say whether it is gone,
   * or was too young: else it would be claimed, and asked for, again and again.
   */
  #mayGo(lease: HeldLease): boolean {
    const { outcome, shardId, settledAt } = lease;
    if (outcome?.kind === "ended") {
      return outcome.children.every((child) => this.view.shards.has(child.shardId));
    }
    if (outcome?.kind !== "aged-out") return true;
    return this.#isGone(lease) || this.#group.isNamed(shardId, settledAt);
  }

  #isGone({ shardId, outcome }: HeldLease): boolean {
    return outcome?.kind === "aged-out" && this.#group.isGone(shardId);
  }

  async #act(stop: AbortSignal): Promise<void> {
    const { clock } = this.#options.host;
    const { shards } = this.view;
    for (const lease of this.#held) this.#checkRow(lease, shards.get(lease.shardId));
    const plan = roundPlanOf(
      this.#options.membership.worker,
      this.view,
      (shardId) => this.#held.has(shardId),
      (shard) => this.#moves.isReleasing(shard),
    );
    this.#share = this.view.shards.size === 0 ? undefined : plan.share;
    this.#moves.handOver(plan.handOver);
    const gatherMs = this.#claimFirstFrom - clock.monotonic();
    if (gatherMs > 0 && isFirstStart(this.view)) {
      this.#group.expectChange();
      return this.#alarm.ring(gatherMs);
    }
    if (!stop.aborted) await this.#moves.claim(plan, shards);
  }

  /** A row that names another, or another epoch, says that the lease in hand is gone. */
  #checkRow(lease: HeldLease, row: LeasedShard | undefined): void {
    const { owner, epoch } = lease.fence;
    if (lease.outcome !== undefined || (row?.owner === owner && row.epoch === epoch)) return;
    lease.lose(`its row names ${row?.owner ?? "nobody"} with epoch ${row?.epoch ?? 0}`);
  }
}

/** Nobody holds anything yet: others may be about to join. */
function isFirstStart({ workers, shards }: View): boolean {
  if (workers.length === 1) return true;
  for (const { epoch } of shards.values()) if (epoch > 0) return false;
  return true;
}
