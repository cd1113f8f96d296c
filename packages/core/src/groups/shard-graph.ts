import type { Shard } from "../kinesis/shard.ts";

/**
 * The lineage of a stream's shards, which determines which of them may be read. Pure. A child waits until every parent
 * in the stream has ended. A parent counts as aged out if a listing names the child, and the parent is not known or
 * was forgotten. A listing that does not name the child proves nothing, as it may be older than the child.
 */
export class ShardGraph {
  readonly #listed = new Map<string, Shard>();
  /** Announced by a parent's last page and not listed yet, because listings lag. */
  readonly #announced = new Map<string, Shard>();
  readonly #ended = new Set<string>();

  /** Adds the shards of a listing. Shards that it does not name stay until `forget`. */
  list(shards: readonly Shard[]): void {
    for (const shard of shards) {
      this.#listed.set(shard.shardId, shard);
      this.#announced.delete(shard.shardId);
    }
  }

  /** Forgets a shard that retention removed, so that it no longer blocks its children. */
  forget(shardId: string): void {
    this.#listed.delete(shardId);
    this.#announced.delete(shardId);
  }

  /** Forgets that the shard has ended: if it were listed again, it would be read again. */
  forgetEnd(shardId: string): void {
    this.#ended.delete(shardId);
  }

  /** The shard was read to its end. @param children the children that its last page named */
  end(shardId: string, children: readonly Shard[] = []): void {
    this.#ended.add(shardId);
    for (const child of children) {
      if (!this.#listed.has(child.shardId)) this.#announced.set(child.shardId, child);
    }
  }

  /** Returns the known shards that may be read: not ended, and every parent has ended or aged out. */
  readable(): Shard[] {
    const agedOut = (parent: string, child: string): boolean =>
      this.#listed.has(child) && !this.knows(parent);
    return [...this.#listed.values(), ...this.#announced.values()].filter(
      ({ shardId, parentShardIds }) =>
        !this.#ended.has(shardId) &&
        parentShardIds.every((parent) => this.#ended.has(parent) || agedOut(parent, shardId)),
    );
  }

  /** The ids of all known shards. */
  shardIds(): string[] {
    return [...this.#listed.keys(), ...this.#announced.keys()];
  }

  /** True if the shard is part of the stream. */
  knows(shardId: string): boolean {
    return this.#listed.has(shardId) || this.#announced.has(shardId);
  }

  /**
   * True if the shard was only announced by a parent's last page, and no descendant is listed. Then a listing without
   * it proves nothing, because listings lag.
   */
  mayBeTooYoung(shardId: string): boolean {
    const isYoung = this.#announced.has(shardId);
    return isYoung && this.childrenOf(shardId).every((child) => this.mayBeTooYoung(child));
  }

  hasEnded(shardId: string): boolean {
    return this.#ended.has(shardId);
  }

  childrenOf(shardId: string): string[] {
    return [...this.#listed.values(), ...this.#announced.values()]
      .filter(({ parentShardIds }) => parentShardIds.includes(shardId))
      .map((child) => child.shardId);
  }
}
