import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  ListShardsCommand,
  MergeShardsCommand,
  SplitShardCommand,
  type KinesisClient,
  type Shard,
} from "@aws-sdk/client-kinesis";

/**
 * The demo's stream: created if it does not exist, resharded during the demo, and deleted if it was
 * created.
 */
export class DemoStream {
  readonly name: string;
  readonly #client: KinesisClient;
  #made = false;

  constructor(client: KinesisClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  async prepare(shards: number): Promise<void> {
    try {
      await this.#client.send(
        new CreateStreamCommand({ StreamName: this.name, ShardCount: shards }),
      );
      this.#made = true;
    } catch (error) {
      if ((error as Error).name !== "ResourceInUseException") throw error;
    }
    await this.#active();
  }

  /** Splits the first open shard, and merges the last two. */
  async reshard(): Promise<string> {
    const open = await this.#openShards();
    const [first, beforeLast, last] = [open[0], open.at(-2), open.at(-1)];
    if (!first?.HashKeyRange || !beforeLast || !last || open.length < 3) return "too few shards";
    const start = BigInt(first.HashKeyRange.StartingHashKey ?? 0);
    const end = BigInt(first.HashKeyRange.EndingHashKey ?? 0);
    await this.#client.send(
      new SplitShardCommand({
        StreamName: this.name,
        ShardToSplit: first.ShardId,
        NewStartingHashKey: ((start + end) / 2n + 1n).toString(),
      }),
    );
    await this.#active();
    await this.#client.send(
      new MergeShardsCommand({
        StreamName: this.name,
        ShardToMerge: beforeLast.ShardId,
        AdjacentShardToMerge: last.ShardId,
      }),
    );
    await this.#active();
    const short = ({ ShardId }: Shard): number => Number(ShardId?.slice(-4));
    return `shard ${short(first)} split, shards ${short(beforeLast)} and ${short(last)} merged`;
  }

  async remove(): Promise<void> {
    if (this.#made) await this.#client.send(new DeleteStreamCommand({ StreamName: this.name }));
  }

  async #openShards(): Promise<Shard[]> {
    const { Shards = [] } = await this.#client.send(
      new ListShardsCommand({ StreamName: this.name }),
    );
    return Shards.filter((shard) => !shard.SequenceNumberRange?.EndingSequenceNumber).toSorted(
      (a, b) => Number(firstHashKey(a) - firstHashKey(b) > 0n) || -1,
    );
  }

  async #active(): Promise<void> {
    for (;;) {
      const { StreamDescriptionSummary: summary } = await this.#client.send(
        new DescribeStreamSummaryCommand({ StreamName: this.name }),
      );
      if (summary?.StreamStatus === "ACTIVE") return;
      await sleep(100);
    }
  }
}

function firstHashKey(shard: Shard): bigint {
  return BigInt(shard.HashKeyRange?.StartingHashKey ?? 0);
}
