import type { Shard } from "./shard.ts";

/** The open shards of a stream, which share out all hash keys without gap or overlap. */
export class OpenShards {
  /** In the order of their hash keys. */
  #shards: readonly Shard[];
  #turn = -1;

  constructor(shards: readonly Shard[]) {
    this.#shards = byHashKey(shards);
  }

  get count(): number {
    return this.#shards.length;
  }

  /** In the order of their hash keys. */
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

  /** One shard after another, where no key decides. */
  next(): Shard {
    this.#turn = (this.#turn + 1) % this.#shards.length;
    return this.#shards[this.#turn]!;
  }

  /** Puts the children, which have the same hash keys, in their parents' place. */
  replace(parents: readonly Shard[], children: readonly Shard[]): void {
    const others = this.#shards.filter((shard) => !parents.includes(shard));
    this.#shards = byHashKey([...others, ...children]);
  }
}

function byHashKey(shards: readonly Shard[]): readonly Shard[] {
  return shards.toSorted((one, other) => (one.range.start < other.range.start ? -1 : 1));
}
