import { setTimeout as sleep } from "node:timers/promises";
import {
  DescribeStreamSummaryCommand,
  ListShardsCommand,
  MergeShardsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import type { Emulator } from "@kc/emulator";

/** Splits the first shard of a new stream, and merges the last two. */
export async function reshard(kinesis: Emulator["kinesis"], stream: string): Promise<string> {
  const StreamName = stream;
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  const [first, left, right] = [Shards[0], Shards.at(-2), Shards.at(-1)];
  const start = BigInt(first?.HashKeyRange?.StartingHashKey ?? 0);
  const end = BigInt(first?.HashKeyRange?.EndingHashKey ?? 0);
  const NewStartingHashKey = ((start + end) / 2n + 1n).toString();
  await kinesis.send(
    new SplitShardCommand({ StreamName, ShardToSplit: first?.ShardId, NewStartingHashKey }),
  );
  await active(kinesis, stream);
  await kinesis.send(
    new MergeShardsCommand({
      StreamName,
      ShardToMerge: left?.ShardId,
      AdjacentShardToMerge: right?.ShardId,
    }),
  );
  await active(kinesis, stream);
  return "the stream is resharded: shard 0 is split, the last two are merged";
}

async function active(kinesis: Emulator["kinesis"], StreamName: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary: summary } = await kinesis.send(
      new DescribeStreamSummaryCommand({ StreamName }),
    );
    if (summary?.StreamStatus === "ACTIVE") return;
    await sleep(100);
  }
}
