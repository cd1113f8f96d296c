import { ownerOf, type LeaseStore } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import { KcError, StoreRegressedError } from "../../errors.ts";
import type { GroupHost } from "../group.ts";
import { Alarm } from "./alarm.ts";
import { dutiesOf } from "./duties.ts";
import { GroupFigures } from "./group-figures.ts";
import { Hands, type HeldLease } from "./hands.ts";
import { hasUnknownChildren, type LeasedShard } from "./lineage.ts";
import { LeaseMoves } from "./lease-moves.ts";
import { LeaseNews } from "./lease-news.ts";
import { Lookout, type View } from "./lookout.ts";
import type { Membership, MembershipEnd } from "./membership.ts";
import { FIRST_GATHER_MS, GATHER_MS, type LeaseTiming } from "./timing.ts";

export interface CoordinatorOptions {
  readonly host: GroupHost;
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly timing: LeaseTiming;
}

/**
 * What one incarnation does about shards, in rounds, one after another: give back what is finished,
 * look at the rows, plan, hand over, claim. A round comes with each heartbeat, and sooner when the
 * store hints at a change or a shard's reading has ended.
 *
 * Its calls follow one another, so that a look sees whatever was claimed and given back before it.
 * A call that fails leaves its work to the next round, which goes by the rows alone: what took
 * effect although its reply was lost is found there.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #owner: string;
  readonly #alarm: Alarm;
  readonly #hands: Hands;
  readonly #lookout: Lookout;
  readonly #moves: LeaseMoves;
  readonly #news: LeaseNews;
  readonly #figures: GroupFigures;
  /** Aborts with this incarnation's end. */
  readonly #over = new AbortController();
  readonly #claimFirstFrom: number;
  #failures = 0;
  #end: MembershipEnd | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: CoordinatorOptions) {
    const { host, membership } = options;
    this.#options = options;
    this.#owner = ownerOf(membership.worker);
    this.#news = new LeaseNews(host.telemetry);
    this.#figures = new GroupFigures(host.telemetry, host.clock);
    this.#alarm = new Alarm(host.clock);
    this.#hands = new Hands(
      host.clock,
      (assignment) => host.read(assignment),
      () => this.#alarm.ring(0),
    );
    this.#lookout = new Lookout({
      ...options,
      over: this.#over.signal,
      onNews: () => this.#alarm.ring(0),
      onFailure: (error) => this.#fail(error),
    });
    this.#moves = new LeaseMoves({
      ...options,
      hands: this.#hands,
      over: this.#over.signal,
      news: this.#news,
      silentSince: (owner) => this.#lookout.silentSince(owner),
      onMove: () => this.#lookout.expectChange(),
    });
    this.#claimFirstFrom = host.clock.monotonic() + FIRST_GATHER_MS;
  }

  get view(): View {
    return this.#lookout.view;
  }

  get leases(): readonly HeldLease[] {
    return [...this.#hands];
  }

  /**
   * Resolves when the signal has aborted and all was given back, or when the membership has ended by
   * itself and all was given up. @throws StoreError that no retry mends
   */
  async run(signal: AbortSignal): Promise<MembershipEnd> {
    const { host, membership, timing } = this.#options;
    const over = this.#over.signal;
    const beating = membership.beat(over).then(
      (end) => this.#finish(end),
      (error: unknown) => this.#fail(error),
    );
    this.#watchForHints();
    const onStop = (): void => this.#alarm.ring(0);
    signal.addEventListener("abort", onStop, { once: true });
    try {
      while (!over.aborted) {
        await this.#round(signal);
        if (signal.aborted && this.#hands.size === 0) this.#finish("stopped");
        const untilDueMs = Math.max(1, this.#lookout.nextDue - host.clock.monotonic());
        // Workers that were started together do not look together for ever.
        const untilNextMs = timing.heartbeatMs * (0.9 + 0.2 * host.random());
        await this.#alarm.wait(Math.min(untilNextMs, untilDueMs), over);
      }
      await beating;
      // The scan stops by it, and what is in hand is finished and flushed while its fences hold.
      if (this.#failure) throw this.#failure.error;
      await this.#giveUp();
      return this.#end ?? "stopped";
    } finally {
      signal.removeEventListener("abort", onStop);
      this.#figures.end();
    }
  }

  #watchForHints(): void {
    const { host, calls } = this.#options;
    const onHint = (): void => this.#alarm.ring(GATHER_MS);
    calls.store.watch?.(host.scope, onHint, this.#over.signal).catch((error: unknown) => {
      host.telemetry.warn("the store's push does not work: changes are seen by heartbeats alone", {
        error,
      });
    });
  }

  #finish(end: MembershipEnd): void {
    this.#end ??= end;
    this.#over.abort(new Error("this worker's membership is over"));
    this.#alarm.ring(0);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#over.abort(new Error("this worker's membership has failed"));
    this.#alarm.ring(0);
  }

  /** Whatever is still in hand may be another's: nothing more is begun, nothing more is written. */
  async #giveUp(): Promise<void> {
    const detail =
      this.#end === "regressed"
        ? "the store went back to an earlier state, in which another may hold it"
        : "this worker was silent for a lease's duration, and was evicted";
    const forEver = new AbortController().signal;
    for (const lease of this.#hands) lease.revoke({ kind: "lost", detail });
    while (this.#hands.settled().length < this.#hands.size) {
      await this.#alarm.wait(Infinity, forEver);
    }
    for (const lease of this.#hands) this.#news.lost(lease);
  }

  async #round(stop: AbortSignal): Promise<void> {
    const { telemetry } = this.#options.host;
    try {
      await this.#moves.announceChildren(this.view.shards);
      // A shard that ended stays in hand until its children are claimed: they go to the same worker.
      await this.#moves.giveBack(
        this.#hands.settled().filter(({ outcome }) => outcome?.kind !== "ended"),
      );
      const news = await this.#lookout.look();
      if (!this.#isMember()) return this.#finish("evicted");
      if (!stop.aborted) this.#discover();
      if (news) await this.#act(stop);
      await this.#moves.giveBack(this.#hands.settled());
      this.#figures.update(this.view, this.#hands.size, this.#isLowest());
      if (this.#failures > 0) telemetry.info("leases are coordinated again");
      this.#failures = 0;
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#lookout.expectChange();
      this.#onRoundFailed(error);
    }
  }

  #onRoundFailed(error: unknown): void {
    const { telemetry } = this.#options.host;
    if (error instanceof StoreRegressedError && this.#lookout.view.revision > 0) {
      telemetry.error("all leases are given up", { error });
      telemetry.add("errors", 1, { error: error.code });
      return this.#finish("regressed");
    }
    if (!KcError.is(error) || !error.retryable) return this.#fail(error);
    this.#failures += 1;
    telemetry.add("retries", 1, { operation: "leases", error: error.code });
    if (this.#failures === 1) telemetry.warn("leases cannot be coordinated for now", { error });
  }

  #isLowest(): boolean {
    const { workerId } = this.#options.membership.worker;
    return this.view.workers.every((row) => workerId <= row.workerId);
  }

  #isMember(): boolean {
    return this.view.workers.some((row) => ownerOf(row) === this.#owner);
  }

  /** One worker lists the stream's shards for all: the one with the lowest id. */
  #discover(): void {
    if (this.#isLowest()) this.#lookout.discover(hasUnknownChildren(this.view.shards));
  }

  async #act(stop: AbortSignal): Promise<void> {
    const { clock } = this.#options.host;
    const { shards } = this.view;
    for (const lease of this.#hands) this.#checkRow(lease, shards.get(lease.shardId));
    if (stop.aborted) return;
    const duties = dutiesOf(this.#options.membership.worker, this.view, (shardId) =>
      this.#hands.has(shardId),
    );
    this.#moves.handOver(duties.handOver);
    const gatherMs = this.#claimFirstFrom - clock.monotonic();
    if (gatherMs > 0 && isFirstStart(this.view)) {
      this.#lookout.expectChange();
      return this.#alarm.ring(gatherMs);
    }
    await this.#moves.claim(duties, shards);
  }

  /** A row that names another, or another epoch, says that the lease in hand is gone. */
  #checkRow(lease: HeldLease, row: LeasedShard | undefined): void {
    const { owner, epoch } = lease.fence;
    if (lease.outcome !== undefined || (row?.owner === owner && row.epoch === epoch)) return;
    const detail = `its row names ${row?.owner ?? "nobody"} with epoch ${row?.epoch ?? 0}`;
    lease.revoke({ kind: "lost", detail });
  }
}

/** Nobody holds anything yet: others may be about to join. */
function isFirstStart({ workers, shards }: View): boolean {
  if (workers.length === 1) return true;
  for (const { epoch } of shards.values()) if (epoch > 0) return false;
  return true;
}
