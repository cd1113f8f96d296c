import { follows } from "../checkpoints/start-position.ts";
import { KcError } from "../errors.ts";
import type { HashKeyRange } from "../kinesis/hash-key-range.ts";
import type { Group, GroupHost } from "./group.ts";

/** The group of `scanShard`: reads one shard until its end, even if its parents were not read. */
export class OneShard implements Group {
  readonly #shardId: string;

  constructor(shardId: string) {
    this.#shardId = shardId;
  }

  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    const shardId = this.#shardId;
    const listing = await host.listShards(signal);
    const shard = listing.find((listed) => listed.shardId === shardId);
    if (shard === undefined) {
      throw new KcError(
        "SHARD_NOT_FOUND",
        `${shardId} is not a shard of stream ${host.scope.streamName} (any more)`,
        { shardId },
      );
    }
    const checkpoints = await host.loadCheckpoints(signal);
    const checkpoint = checkpoints.get(shardId);
    if (checkpoint?.kind === "shard-end") {
      host.telemetry.info("the shard has been read to its end before", { shardId });
      return;
    }
    const afterParent = follows(shard, () => false, checkpoints);
    const hashKeyRange = (): HashKeyRange | undefined => shard.hashKeyRange;
    await host.read({ shardId, checkpoint, presentAtStart: true, afterParent, hashKeyRange });
  }
}
