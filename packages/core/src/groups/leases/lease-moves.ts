import { ownerOf, type AcquiredLease, type LeaseStore } from "../../checkpoints/lease-store.ts";
import type { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { GroupHost } from "../group.ts";
import type { Duties } from "./duties.ts";
import type { Hands, HeldLease } from "./hands.ts";
import { announced, type LeasedShard } from "./lineage.ts";
import type { LeaseNews } from "./lease-news.ts";
import type { Membership } from "./membership.ts";

export interface LeaseMovesOptions {
  readonly host: GroupHost;
  readonly calls: StoreCalls<LeaseStore>;
  readonly membership: Membership;
  readonly hands: Hands;
  /** Ends with this incarnation. */
  readonly over: AbortSignal;
  readonly news: LeaseNews;
  /** When a worker that is gone gave its last sign of life, by the monotonic clock. */
  readonly silentSince: (owner: string) => number | undefined;
  /** Told before each call that changes rows: it may take effect although its reply is lost. */
  readonly onMove: () => void;
}

/** The steps by which leases come into this worker's hands and leave them, each told to log and counter. */
export class LeaseMoves {
  readonly #options: LeaseMovesOptions;

  constructor(options: LeaseMovesOptions) {
    this.#options = options;
  }

  /** Before their parent's lease is given back: whoever looks then must find them. */
  async announceChildren(shards: ReadonlyMap<string, LeasedShard>): Promise<void> {
    const { host, calls, hands } = this.#options;
    const children = hands
      .settled()
      .flatMap(({ outcome }) =>
        outcome?.kind === "ended" ? announced(outcome.children, shards) : [],
      );
    if (children.length === 0) return;
    await this.#call("putShards", (call) => calls.store.putShards(host.scope, children, call));
  }

  /** Of those whose reading has ended. */
  async giveBack(leases: readonly HeldLease[]): Promise<void> {
    if (leases.length === 0) return;
    const { host, calls, hands, news } = this.#options;
    const { scope } = host;
    await this.#call("releaseLeases", (call) => calls.store.releaseLeases(scope, leases, call));
    const agedOut = leases.filter(({ outcome }) => outcome?.kind === "aged-out");
    if (agedOut.length > 0) {
      const shardIds = agedOut.map(({ shardId }) => shardId);
      await this.#call("removeShards", (call) => calls.store.removeShards(scope, shardIds, call));
    }
    hands.forget(leases);
    for (const lease of leases) news.givenBack(lease, lease.outcome!.kind);
  }

  handOver(shards: Duties["handOver"]): void {
    const { hands, host } = this.#options;
    const { telemetry, drainTimeoutMs } = host;
    for (const { shardId, to } of shards) {
      const lease = hands.get(shardId);
      if (lease === undefined || lease.revoked || lease.outcome) continue;
      telemetry.info("handing a shard over", {
        shardId,
        to: to ?? "nobody: all are at their limit",
      });
      lease.revoke({ kind: "hand-off", deadlineMs: drainTimeoutMs });
    }
  }

  /** A row that names us without our knowing is claimed again, or given back to who should have it. */
  async claim(
    { claim, giveBack }: Duties,
    shards: ReadonlyMap<string, LeasedShard>,
  ): Promise<void> {
    const { host, calls, membership } = this.#options;
    if (giveBack.length > 0) {
      await this.#call("releaseLeases", (call) =>
        calls.store.releaseLeases(host.scope, giveBack, call),
      );
    }
    if (claim.length === 0) return;
    const acquired = await this.#call("acquireLeases", (call) =>
      calls.store.acquireLeases(host.scope, membership.worker, claim, call),
    );
    for (const lease of acquired) this.#grant(lease, shards.get(lease.shardId)!);
  }

  #grant(lease: AcquiredLease, { owner, atStart, afterParent }: LeasedShard): void {
    const { host, membership, hands, news, silentSince } = this.#options;
    const claimed = whyClaimed(owner, ownerOf(membership.worker), lease.fence.epoch);
    const since = claimed.reason === "taken-over" ? silentSince(owner!) : undefined;
    news.acquired(lease, claimed, since === undefined ? undefined : host.clock.monotonic() - since);
    const remainingMs = (): number => membership.remainingMs();
    const grant = { presentAtStart: atStart, afterParent, remainingMs };
    hands.grant(lease, grant, claimed.why);
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
