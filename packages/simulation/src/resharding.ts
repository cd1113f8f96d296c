import {
  CreateStreamCommand,
  KinesisServiceException,
  ListShardsCommand,
  MergeShardsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { STREAM } from "./worker.ts";
import type { World } from "./world.ts";

const MAX_SHARDS = 8;

/** An open shard, and its hash keys. */
export interface OpenShard {
  readonly id: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** The stream's shards: how they are created, split and merged. */
export class Resharding {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async create(shards: number): Promise<void> {
    const distribution =
      this.#world.aggregates?.isKeyless === true
        ? ({
            StreamModeDetails: { StreamMode: "ON_DEMAND" },
            RecordDistributionStrategy: "AUTO",
          } as const)
        : { ShardCount: shards };
    await this.#world.kinesis.send(
      new CreateStreamCommand({
        StreamName: STREAM,
        MaxRecordSizeInKiB: 10_240,
        ...distribution,
      }),
    );
  }

  async reshard(): Promise<void> {
    const listed = await this.open();
    const open = listed.toSorted((a, b) => (a.start < b.start ? -1 : 1));
    const index = this.#world.random.between(0, open.length - 1);
    const shard = open[index]!;
    try {
      if (this.#world.random.chance(0.5) && open.length < MAX_SHARDS) {
        const NewStartingHashKey = String((shard.start + shard.end) / 2n + 1n);
        await this.#world.kinesis.send(
          new SplitShardCommand({ StreamName: STREAM, ShardToSplit: shard.id, NewStartingHashKey }),
        );
        this.#world.note(`${shard.id} is split`);
        // Sometimes one half is merged before any listing has shown it, which creates a child whose
        // second parent is unknown.
        const neighbour = open[index + 1];
        if (neighbour && this.#world.producer.records % 3 === 0)
          await this.#mergeHalf(shard.end, neighbour.id);
      } else if (index > 0) {
        const left = open[index - 1]!.id;
        await this.#world.kinesis.send(
          new MergeShardsCommand({
            StreamName: STREAM,
            ShardToMerge: left,
            AdjacentShardToMerge: shard.id,
          }),
        );
        this.#world.note(`${left} and ${shard.id} are merged`);
      }
    } catch (error) {
      // A reshard is still running, or a planned fault hit this call.
      if (!(error instanceof KinesisServiceException)) throw error;
    }
  }

  /** Merges the new shard that ends at this hash key with its neighbour. */
  async #mergeHalf(end: bigint, neighbour: string): Promise<void> {
    const half = (await this.open()).find((one) => one.end === end);
    if (half === undefined) return;
    await this.#world.put(12);
    await this.#world.kinesis.send(
      new MergeShardsCommand({
        StreamName: STREAM,
        ShardToMerge: half.id,
        AdjacentShardToMerge: neighbour,
      }),
    );
    this.#world.note(`${half.id} and ${neighbour} are merged`);
  }

  async open(): Promise<readonly OpenShard[]> {
    for (;;) {
      try {
        const { Shards = [] } = await this.#world.kinesis.send(
          new ListShardsCommand({ StreamName: STREAM }),
        );
        return Shards.filter((one) => !one.SequenceNumberRange?.EndingSequenceNumber).map(
          ({ ShardId, HashKeyRange }) => ({
            id: ShardId!,
            start: BigInt(HashKeyRange!.StartingHashKey!),
            end: BigInt(HashKeyRange!.EndingHashKey!),
          }),
        );
      } catch (error) {
        if (!(error instanceof KinesisServiceException)) throw error;
      }
    }
  }
}
