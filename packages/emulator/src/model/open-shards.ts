import type { Shard } from "./shard.ts";

/** The open shards of a stream. They cover all hash keys without gap or overlap. */
export class OpenShards {
  /** Ordered by hash keys. */
  #shards: readonly Shard[];
  #turn = -1;

  constructor(shards: readonly Shard[]) {
    this.#shards = byHashKey(shards);
  }

  get count(): number {
    return this.#shards.length;
  }

  /** All open shards, ordered by hash keys. */
  get all(): readonly Shard[] {
    return this.#shards;
  }

  /** The shard that a hash key belongs to. */
  route(hashKey: bigint): Shard {
    let low = 0;
    let high = this.#shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#shards[middle]!.range.start <= hashKey) low = middle;
      else high = middle - 1;
    }
    return this.#shards[low]!;
  }

  /** Returns the shards in turn, for records that are not distributed by key. */
  next(): Shard {
    this.#turn = (this.#turn + 1) % this.#shards.length;
    return this.#shards[this.#turn]!;
  }

  /** Replaces parents by their children, which have the same hash keys. */
  replace(parents: readonly Shard[], children: readonly Shard[]): void {
    const others = this.#shards.filter((shard) => !parents.includes(shard));
    this.#shards = byHashKey([...others, ...children]);
  }
}

function byHashKey(shards: readonly Shard[]): readonly Shard[] {
  return shards.toSorted((one, other) => (one.range.start < other.range.start ? -1 : 1));
}
