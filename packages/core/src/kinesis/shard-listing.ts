import { ListShardsCommand, type ListShardsCommandOutput } from "@aws-sdk/client-kinesis";
import { listedShards, nextToken, refuseCycle } from "./reply-shapes.ts";
import { fromListing, type Shard } from "./shard.ts";
import type { StreamId } from "./stream-id.ts";

/** Makes one call. `read` takes the answer out of its reply; what it throws is a failed try. */
export type CallAndRead = <Output, Answer>(
  command: object,
  read: (output: Output) => Answer,
) => Promise<Answer>;

/**
 * One complete, unfiltered listing, page by page.
 * @throws what the call throws, an expired token among it: then the listing has to start over
 */
export async function readListing(stream: StreamId, call: CallAndRead): Promise<readonly Shard[]> {
  const tokens = new Set<string>();
  let shards: readonly Shard[] = [];
  let token: string | undefined;
  do {
    // A token identifies the stream: the service refuses a name or an ARN beside it.
    const command = new ListShardsCommand(token === undefined ? stream : { NextToken: token });
    const page = await call(command, ({ Shards, NextToken }: ListShardsCommandOutput) => {
      const all = [...shards, ...listedShards(Shards).map(fromListing)];
      const next = nextToken(NextToken, tokens);
      if (next !== undefined) return { shards: all, next };
      const each = eachOnce(all);
      refuseCycle(each);
      return { shards: each, next };
    });
    shards = page.shards;
    token = page.next;
    if (token !== undefined) tokens.add(token);
  } while (token !== undefined);
  return shards;
}

/** Of a shard that is listed twice, the last entry counts. */
function eachOnce(shards: readonly Shard[]): Shard[] {
  return [...new Map(shards.map((one) => [one.shardId, one])).values()];
}
