import { sleep, Stopwatch } from "../clock.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import { follows } from "../checkpoints/start-position.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { Group, GroupHost, ShardAssignment, ShardOutcome } from "./group.ts";
import { ShardGraph } from "./shard-graph.ts";

/**
 * Reads every shard of the stream in this one process. One listing a period finds what is new, and
 * a closed shard's last page names its children sooner. Checkpoints are read when shards appear
 * that were not known before, not with every listing.
 */
export class AllGroup implements Group {
  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    const graph = new ShardGraph();
    const granted = new Set<string>();
    const known = new Set<string>();
    let checkpoints: ReadonlyMap<string, Checkpoint> = new Map();
    let presentAtStart: ReadonlySet<string> | undefined;
    let listingIsDue = true;
    const sinceListing = new Stopwatch(host.clock);
    let wake = new AbortController();
    signal.addEventListener("abort", () => wake.abort(), { once: true });

    /** Loads the checkpoints if a shard came that they were not loaded for. */
    const recognise = async (): Promise<void> => {
      const unknown = graph.shardIds().filter((shardId) => !known.has(shardId));
      if (unknown.length === 0) return;
      checkpoints = await host.loadCheckpoints(signal);
      for (const shardId of unknown) {
        known.add(shardId);
        if (checkpoints.get(shardId)?.kind === "shard-end") graph.end(shardId);
      }
    };

    const settle = (shardId: string, outcome: ShardOutcome): void => {
      granted.delete(shardId);
      if (outcome.kind === "ended") graph.end(shardId, outcome.children);
      if (outcome.kind === "aged-out") graph.forget(shardId);
      // The service names the children in the last page. Where it did not, a listing does.
      listingIsDue ||=
        outcome.kind === "aged-out" || (outcome.kind === "ended" && outcome.children.length === 0);
      wake.abort();
    };

    const grant = (shard: Shard): void => {
      granted.add(shard.shardId);
      const assignment: ShardAssignment = {
        shardId: shard.shardId,
        checkpoint: checkpoints.get(shard.shardId),
        presentAtStart: presentAtStart?.has(shard.shardId) ?? false,
        afterParent: follows(shard, (id) => graph.knows(id), checkpoints),
      };
      void host.read(assignment).then((outcome) => settle(shard.shardId, outcome));
    };

    while (!signal.aborted) {
      wake = new AbortController();
      if (listingIsDue || sinceListing.elapsed() >= host.discoveryIntervalMs) {
        listingIsDue = false;
        sinceListing.restart();
        const listing = await host.listShards(signal);
        graph.list(listing);
        presentAtStart ??= new Set(listing.map(({ shardId }) => shardId));
      }
      await recognise();
      // A parent that retention took from the stream may still be in our hands.
      const inHand = ({ shardId, parentShardIds }: Shard): boolean =>
        [shardId, ...parentShardIds].some((id) => granted.has(id));
      for (const shard of graph.readable()) if (!inHand(shard)) grant(shard);
      await sleep(host.clock, host.discoveryIntervalMs - sinceListing.elapsed(), wake.signal);
    }
  }
}
