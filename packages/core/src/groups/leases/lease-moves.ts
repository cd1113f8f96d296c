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
  /** Ends with this incarnation. */
  readonly over: AbortSignal;
  readonly reporter: LeaseReporter;
  /** When a worker that is gone gave its last sign of life, by the monotonic clock. */
  readonly silentSince: (owner: string) => number | undefined;
  /** A shard's row, as the last look found it. */
  readonly row: (shardId: string) => LeasedShard | undefined;
  /** Called before each call that changes rows: it may take effect although its reply is lost. */
  readonly onMove: () => void;
}

/** The steps by which leases come to this worker and leave it. */
export class LeaseMoves {
  readonly #options: LeaseMovesOptions;
  /** Epochs of leases whose release was called and not answered, by shard: it may take effect yet. */
  readonly #releasing = new Map<string, number>();

  constructor(options: LeaseMovesOptions) {
    this.#options = options;
  }

  /** Creates rows for the children of shards that have ended. True = some had none. */
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

  /** Gives back leases whose reading has ended; of shards that are gone from the stream the row goes too. */
  async giveBack(
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
    held.end(leases, "given-back");
  }

  handOver(shards: RoundPlan["handOver"]): void {
    const { held, host } = this.#options;
    const { telemetry, drainTimeoutMs } = host;
    for (const { shardId, to } of shards) {
      const lease = held.get(shardId);
      if (lease?.state.kind !== "reading") continue;
      telemetry.info("handing a shard over", {
        shardId,
        to: to ?? "nobody: all are at their limit",
      });
      lease.handOver(drainTimeoutMs);
    }
  }

  /**
   * May its lease still be released by an earlier call? Then it is released by an answered one and
   * claimed with the next epoch, which the earlier call does not name.
   */
  isReleasing({ shardId, epoch }: LeasedShard): boolean {
    return this.#releasing.get(shardId) === epoch;
  }

  /** A row that names us without our knowing is claimed again, or given back to who should have it. */
  async claim(
    { claim, giveBack }: RoundPlan,
    shards: ReadonlyMap<string, LeasedShard>,
  ): Promise<void> {
    const { host, calls, membership } = this.#options;
    if (giveBack.length > 0) {
      for (const { shardId, fence } of giveBack) this.#releasing.set(shardId, fence.epoch);
      await this.#call("releaseLeases", (call) =>
        calls.store.releaseLeases(host.scope, giveBack, call),
      );
      for (const { shardId } of giveBack) this.#releasing.delete(shardId);
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
        // A row of an earlier version gets both later, and may lose them again to such a version.
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

/** For metrics, and for log and status: by whom the row named before the claim. */
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
  return { reason: "given-back", why: "given back by its owner" };
}
