import type { Shard } from "../kinesis/shard.ts";

/**
 * The lineage of a stream's shards, pure: which may be read now. A child waits until every parent
 * that is still there has ended. A parent has aged out when a listing names the child, and the parent
 * was never known or is forgotten; a listing made before the child was born proves nothing.
 */
export class ShardGraph {
  readonly #listed = new Map<string, Shard>();
  /** Announced by a parent's last page and not listed yet: listings lag. */
  readonly #announced = new Map<string, Shard>();
  readonly #ended = new Set<string>();

  /** Takes what a listing names. What it does not name stays until it is forgotten. */
  list(shards: readonly Shard[]): void {
    for (const shard of shards) {
      this.#listed.set(shard.shardId, shard);
      this.#announced.delete(shard.shardId);
    }
  }

  /** Retention took the shard: it blocks no child any more. */
  forget(shardId: string): void {
    this.#listed.delete(shardId);
    this.#announced.delete(shardId);
  }

  /** Forgets its end. If it were listed again, it would be read again. */
  forgetEnd(shardId: string): void {
    this.#ended.delete(shardId);
  }

  /** The shard was read to its end; `children` are those its last page named, if it named any. */
  end(shardId: string, children: readonly Shard[] = []): void {
    this.#ended.add(shardId);
    for (const child of children) {
      if (!this.#listed.has(child.shardId)) this.#announced.set(child.shardId, child);
    }
  }

  /** Every shard that is known and may be read: not ended, and no parent left to end. */
  readable(): Shard[] {
    const agedOut = (parent: string, child: string): boolean =>
      this.#listed.has(child) && !this.knows(parent);
    return [...this.#listed.values(), ...this.#announced.values()].filter(
      ({ shardId, parentShardIds }) =>
        !this.#ended.has(shardId) &&
        parentShardIds.every((parent) => this.#ended.has(parent) || agedOut(parent, shardId)),
    );
  }

  /** Every shard that is known. */
  shardIds(): string[] {
    return [...this.#listed.keys(), ...this.#announced.keys()];
  }

  /** Is the shard still part of the stream? */
  knows(shardId: string): boolean {
    return this.#listed.has(shardId) || this.#announced.has(shardId);
  }

  /**
   * Was it announced by a parent's last page alone, and no later shard is listed? Then a listing without
   * it proves nothing: listings may lag.
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
