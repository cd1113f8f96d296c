import type { LeaseGroupStatus } from "@kc/core";

/** `shardId-000000000003` is 3. */
const short = (shardId: string): number => Number(shardId.slice(-12));

interface Held {
  readonly owner: string;
  readonly epoch: number;
}

/** The owner of each shard, combined from what each worker reports of its own shards. */
export class Board {
  readonly #statuses = new Map<string, LeaseGroupStatus>();
  readonly #held = new Map<string, Held>();
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Processes a worker's report, and prints the changes. */
  update(status: LeaseGroupStatus): void {
    const { workerId, state, shards } = status;
    this.#statuses.set(workerId, status);
    if (state !== "member") return;
    const listed = new Set(shards.map(({ shardId }) => shardId));
    for (const [shardId, { owner }] of this.#held) {
      if (owner !== workerId || listed.has(shardId)) continue;
      this.#held.delete(shardId);
      this.#change(`shard ${short(shardId)} was read to its end by ${owner}`);
    }
    for (const { shardId, owner, epoch, why } of shards) {
      const before = this.#held.get(shardId);
      if (owner !== workerId || why === undefined || epoch <= (before?.epoch ?? 0)) continue;
      this.#held.set(shardId, { owner, epoch });
      const from = before ? `${before.owner} → ${owner}` : owner;
      this.#change(`shard ${short(shardId)}: ${from}, ${why.replace(/#.*/, "")}`);
    }
  }

  /**
   * Removes a worker whose process has ended. Its shards stay on the board until another worker
   * reports them.
   */
  forget(workerId: string): void {
    this.#statuses.delete(workerId);
  }

  /**
   * Whether all workers agree that these are the only workers, and that the shards are evenly
   * distributed.
   */
  isSettled(workers: readonly string[]): boolean {
    const statuses = workers.map((workerId) => this.#statuses.get(workerId));
    return statuses.every((status) => {
      if (status?.state !== "member") return false;
      if (status.workers.toSorted().join() !== workers.toSorted().join()) return false;
      const counts = new Map(workers.map((workerId) => [workerId, 0]));
      for (const { owner = "" } of status.shards) {
        const known = counts.get(owner);
        if (known === undefined) return false;
        counts.set(owner, known + 1);
      }
      const shares = [...counts.values()];
      return status.shards.length > 0 && Math.max(...shares) - Math.min(...shares) <= 1;
    });
  }

  /** The open shards, as this worker sees them. */
  shardsOf(workerId: string): readonly string[] {
    return (this.#statuses.get(workerId)?.shards ?? []).map(({ shardId }) => shardId);
  }

  #change(what: string): void {
    const owners = new Map<string, number[]>();
    for (const [shardId, { owner }] of [...this.#held].toSorted()) {
      owners.set(owner, [...(owners.get(owner) ?? []), short(shardId)]);
    }
    const now = [...owners].toSorted().map(([owner, shards]) => `${owner}[${shards.join(" ")}]`);
    this.#say(`${what.padEnd(48)} ${now.join(" ")}`);
  }
}
