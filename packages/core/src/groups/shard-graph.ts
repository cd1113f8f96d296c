import type { Shard } from "../kinesis/shard.ts";

/**
 * The lineage of a stream's shards, pure: which may be read now. A child waits until every parent
 * that is still there has ended. A parent has aged out when a complete listing names the child and
 * not the parent; one made before the child was born proves nothing.
 */
export class ShardGraph {
  #listed: ReadonlyMap<string, Shard> = new Map();
  /** Told by a parent's last page and not listed yet: a listing lags behind. */
  readonly #announced = new Map<string, Shard>();
  readonly #ended = new Set<string>();

  /** Takes one complete, unfiltered listing. Anything less must not come here. */
  list(shards: readonly Shard[]): void {
    this.#listed = new Map(shards.map((shard) => [shard.shardId, shard]));
    for (const shardId of this.#announced.keys()) {
      if (this.#listed.has(shardId)) this.#announced.delete(shardId);
    }
  }

  /** Retention took the shard, as a complete listing told. */
  forget(shardId: string): void {
    this.#announced.delete(shardId);
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
}
