import {
  ownerOf,
  type AcquiredLease,
  type LeaseStore,
  type ShardPut,
} from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { GroupHost } from "../group.ts";
import type { RoundPlan } from "./round-plan.ts";
import type { SettledLease } from "./held-lease.ts";
import type { HeldLeases } from "./held-leases.ts";
import type { LeasedShard } from "./leased-shard.ts";
import { announced } from "./listing-changes.ts";
import type { LeaseReporter } from "./lease-reporter.ts";
import type { Membership } from "./membership.ts";

export interface LeaseMovesOptions {
  readonly host: GroupHost;
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly held: HeldLeases;
  /** Aborts when this incarnation ends. */
  readonly over: AbortSignal;
  readonly reporter: LeaseReporter;
  /** When a worker that is gone last showed a sign of life, by the monotonic clock. */
  readonly silentSince: (owner: string) => number | undefined;
  /** The row of a shard in the last snapshot. */
  readonly row: (shardId: string) => LeasedShard | undefined;
  /** Called before each call that changes rows, because it may take effect although its reply is lost. */
  readonly onMove: () => void;
}

/** Claims, hands over and releases the leases of this worker. */
export class LeaseMoves {
  readonly #options: LeaseMovesOptions;
  /** Epochs of leases by shard whose release was sent and not answered: it may still take effect. */
  readonly #releasing = new Map<string, number>();

  constructor(options: LeaseMovesOptions) {
    this.#options = options;
  }

  /** Creates missing rows for the children of shards that have ended. Returns whether any were missing. */
  async announceChildren(shards: ReadonlyMap<string, LeasedShard>): Promise<boolean> {
    const children = this.#options.held
      .settled()
      .flatMap(({ state }) => (state.outcome.kind === "ended" ? state.outcome.children : []));
    const put = announced(children, shards);
    if (put.length === 0) return false;
    await this.put(put);
    return true;
  }

  /** Creates rows of shards, or replaces their lineages. */
  async put(shards: readonly ShardPut[]): Promise<void> {
    const { host, calls } = this.#options;
    await this.#call("putShards", (call) => calls.store.putShards(host.scope, shards, call));
  }

  /** Releases leases whose reading has ended, and removes the rows of shards that are gone from the stream. */
  async release(
    leases: readonly SettledLease[],
    isGone: (lease: SettledLease) => boolean,
  ): Promise<void> {
    if (leases.length === 0) return;
    const { host, calls, held } = this.#options;
    const { scope } = host;
    await this.#call("releaseLeases", (call) => calls.store.releaseLeases(scope, leases, call));
    const gone = leases.filter(isGone).map(({ shardId }) => shardId);
    if (gone.length > 0) {
      await this.#call("removeShards", (call) => calls.store.removeShards(scope, gone, call));
    }
    held.end(leases, "released");
  }

  /** Starts the hand-off of shards that are planned for other workers. */
  handOver(shards: RoundPlan["handOver"]): void {
    const { held, host } = this.#options;
    const { telemetry, drainTimeoutMs } = host;
    for (const { shardId, to } of shards) {
      const lease = held.get(shardId);
      if (lease?.state.kind !== "reading") continue;
      telemetry.info("handing a shard over", {
        shardId,
        to: to ?? "no worker: all are at their limit",
      });
      lease.handOver(drainTimeoutMs);
    }
  }

  /**
   * True if an earlier unanswered call may still release the lease. The lease must then be released by an answered
   * call and claimed with the next epoch, which the earlier call does not name.
   */
  isReleasing({ shardId, epoch }: LeasedShard): boolean {
    return this.#releasing.get(shardId) === epoch;
  }

  /**
   * Claims the shards planned for this worker. A row that names this worker unexpectedly is claimed again, or released
   * if the shard is planned for another worker.
   */
  async claim(
    { claim, release }: RoundPlan,
    shards: ReadonlyMap<string, LeasedShard>,
  ): Promise<void> {
    const { host, calls, membership } = this.#options;
    if (release.length > 0) {
      for (const { shardId, fence } of release) this.#releasing.set(shardId, fence.epoch);
      await this.#call("releaseLeases", (call) =>
        calls.store.releaseLeases(host.scope, release, call),
      );
      for (const { shardId } of release) this.#releasing.delete(shardId);
    }
    if (claim.length === 0) return;
    const acquired = await this.#call("acquireLeases", (call) =>
      calls.store.acquireLeases(host.scope, membership.worker, claim, call),
    );
    for (const lease of acquired) this.#grant(lease, shards.get(lease.shardId)!);
  }

  #grant(lease: AcquiredLease, { owner, ...row }: LeasedShard): void {
    const { host, membership, held, reporter, silentSince } = this.#options;
    const claimed = whyClaimed(owner, ownerOf(membership.worker), lease.fence.epoch);
    const since = claimed.reason === "taken-over" ? silentSince(owner!) : undefined;
    reporter.acquired(
      lease,
      claimed,
      since === undefined ? undefined : host.clock.monotonic() - since,
    );
    let { hashKeyRange, startingSequenceNumber: first } = row;
    const now = (): LeasedShard | undefined => this.#options.row(lease.shardId);
    held.grant(
      lease,
      {
        presentAtStart: row.atStart,
        afterParent: row.afterParent,
        // A row of an earlier version gets both later, and a worker of that version may remove them again.
        hashKeyRange: () => (hashKeyRange ??= now()?.hashKeyRange),
        firstNumber: () => (first ??= now()?.startingSequenceNumber),
        remainingMs: () => membership.remainingMs(),
      },
      claimed.why,
    );
  }

  #call<T>(
    operation: string,
    call: (options: { readonly signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const { calls, over, onMove } = this.#options;
    onMove();
    return calls.once(operation, over, call);
  }
}

/** How a lease was acquired, by the owner that its row named before: for metrics, and for log and status. */
function whyClaimed(
  before: string | undefined,
  own: string,
  epoch: number,
): { readonly reason: string; readonly why: string } {
  if (before === own) {
    return { reason: "adopted", why: "claimed before, by a call whose reply was lost" };
  }
  if (before !== undefined) return { reason: "taken-over", why: `taken over from ${before}` };
  if (epoch === 1) return { reason: "new", why: "never held before" };
  return { reason: "released", why: "given back by its owner" };
}
