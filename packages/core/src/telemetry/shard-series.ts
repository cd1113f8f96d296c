import type { MetricAttributes, MetricName } from "./metrics.ts";
import type { OwnAttributes, Source } from "./telemetry.ts";

type Attributes = Readonly<Record<string, string>>;
/** One of a shard's; which counter or gauge it is, the compiler need not know. */
type Series = readonly [name: "lag", attributes: MetricAttributes<"lag">];

/** Whose series those without a shard are. */
const NO_SHARD = "";

/**
 * The attributes of every figure, made once for each series: adapters may keep by the object what
 * they have made of it. And, of each shard, which series it has begun, so that they can be ended with
 * it. Folded, a shard's figures are those of all, and none of them ends with it.
 */
export class ShardSeries {
  readonly perShard: boolean;
  readonly #source: Source;
  readonly #shards = new Map<string, Map<string, Attributes>>();

  constructor(source: Source, perShard: boolean) {
    this.#source = source;
    this.perShard = perShard;
  }

  /** A figure's own attributes, and those that all have. */
  attributes<Name extends MetricName>(
    name: Name,
    own: OwnAttributes<Name>,
  ): MetricAttributes<Name> {
    return this.#attributes(name, own);
  }

  /** All series of a shard, which are forgotten here. */
  take(shardId: string): readonly Series[] {
    const shard = this.#shards.get(shardId) ?? [];
    this.#shards.delete(shardId);
    return [...shard].map(([key, attributes]) => [nameOf(key), attributes] as unknown as Series);
  }

  #attributes(name: string, own: Attributes): Attributes {
    const { shardId, ...others } = own;
    const told = this.perShard ? own : others;
    const whose = (this.perShard && shardId) || NO_SHARD;
    let shard = this.#shards.get(whose);
    if (shard === undefined) this.#shards.set(whose, (shard = new Map<string, Attributes>()));
    const key = [name, ...Object.values(others)].join(" ");
    let attributes = shard.get(key);
    if (attributes === undefined) shard.set(key, (attributes = { ...told, ...this.#source }));
    return attributes;
  }
}

function nameOf(key: string): string {
  return key.split(" ", 1)[0]!;
}
