import { ListShardsCommand, type ListShardsCommandOutput } from "@aws-sdk/client-kinesis";
import { sleep, type Clock } from "../clock.ts";
import { retry } from "../retry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { BACKOFF } from "./call-retry.ts";
import { classify } from "./classify.ts";
import { listedShards, nextToken, refuseCycle } from "./reply-shapes.ts";
import { fromListing, type Shard } from "./shard.ts";
import type { StreamCalls } from "./stream-calls.ts";
import type { StreamId } from "./stream-id.ts";

export interface ShardListingOptions {
  readonly id: StreamId;
  readonly calls: StreamCalls;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** Whether the stream was found before: a reply that it does not exist may be wrong then. */
  readonly wasFound: () => boolean;
}

const OPERATION = "ListShards";

/** Lists the shards of a stream, and keeps the starting sequence numbers of the last complete listing. */
export class ShardListing {
  readonly #options: ShardListingOptions;
  #startingNumbers: ReadonlyMap<string, string | undefined> = new Map();

  constructor(options: ShardListingOptions) {
    this.#options = options;
  }

  /** Makes a complete, unfiltered listing. It starts over if its token expires between two pages. */
  async list(signal: AbortSignal): Promise<readonly Shard[]> {
    const { calls, clock, random, telemetry } = this.#options;
    let restarts = 0;
    const shards = await retry({
      signal,
      backoff: BACKOFF,
      random,
      attempt: () => this.#listOnce(signal),
      onFailure: (error) => {
        if (classify(error) !== "expired-token") throw calls.failure(OPERATION, error, signal);
        telemetry.warn("a listing of the shards took too long; it starts over");
        return (restarts += 1);
      },
      pause: (ms) => sleep(clock, ms, signal),
    });
    this.#startingNumbers = new Map(shards.map((one) => [one.shardId, one.startingSequenceNumber]));
    return shards;
  }

  /** The starting sequence number of a shard by the last listing; `undefined` if that did not name it. */
  listedStart(shardId: string): string | undefined {
    return this.#startingNumbers.get(shardId);
  }

  /** As `listedStart`, with another listing if the last one did not name the shard. */
  async startOf(shardId: string, signal: AbortSignal): Promise<string | undefined> {
    if (!this.#startingNumbers.has(shardId)) await this.list(signal);
    return this.listedStart(shardId);
  }

  /** @throws what the calls throw, among others an expired token */
  async #listOnce(signal: AbortSignal): Promise<readonly Shard[]> {
    const { id, calls, wasFound } = this.#options;
    const call = { operation: OPERATION, mayExist: wasFound };
    const tokens = new Set<string>();
    let shards: readonly Shard[] = [];
    let token: string | undefined;
    do {
      // A token identifies the stream: the service rejects a name or an ARN with it.
      const command = new ListShardsCommand(token === undefined ? id : { NextToken: token });
      const page = await calls.call(call, command, signal, (output: ListShardsCommandOutput) =>
        addPage(shards, output, tokens),
      );
      shards = page.shards;
      token = page.next;
      if (token !== undefined) tokens.add(token);
    } while (token !== undefined);
    return shards;
  }
}

/** @throws UnexpectedReplyError, which fails the attempt */
function addPage(
  shards: readonly Shard[],
  { Shards, NextToken }: ListShardsCommandOutput,
  tokens: ReadonlySet<string>,
): { readonly shards: readonly Shard[]; readonly next: string | undefined } {
  const all = [...shards, ...listedShards(Shards).map(fromListing)];
  const next = nextToken(NextToken, tokens);
  if (next !== undefined) return { shards: all, next };
  const unique = withoutDuplicates(all);
  refuseCycle(unique);
  return { shards: unique, next };
}

/** If a shard is listed twice, the last entry counts. */
function withoutDuplicates(shards: readonly Shard[]): Shard[] {
  return [...new Map(shards.map((one) => [one.shardId, one])).values()];
}
