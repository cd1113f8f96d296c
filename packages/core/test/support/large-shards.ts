import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import type { World } from "./world.ts";

const MIB = 2 ** 20;
/** The most that a reply holds. */
const REPLY_BYTES = 10 * MIB;

export interface LargeShardsOptions {
  /** Of all shards, or of each by its number. */
  readonly recordBytes: number | ((shard: number) => number);
  /** Records in each shard at the beginning. */
  readonly backlog: number;
  /** Records that come into each shard every second. */
  readonly perSecond: number;
}

/**
 * A client whose shards hold more than a test can: all records share one buffer. The number of a
 * shard's record is its sequence number, from 1 on. A call takes 10 ms.
 */
export class LargeShards {
  readonly #world: World;
  readonly #options: LargeShardsOptions;
  readonly #data = new Uint8Array(REPLY_BYTES);
  readonly #began: number;

  constructor(world: World, options: LargeShardsOptions) {
    this.#world = world;
    this.#options = options;
    this.#began = world.clock.monotonic();
  }

  /** Records that each shard holds now. */
  get count(): number {
    const { backlog, perSecond } = this.#options;
    const seconds = (this.#world.clock.monotonic() - this.#began) / 1000;
    return backlog + Math.floor(seconds * perSecond);
  }

  readonly send = async (command: object): Promise<unknown> => {
    if (command instanceof GetShardIteratorCommand) {
      const { ShardId, StartingSequenceNumber } = command.input;
      return { ShardIterator: `${shardNumber(ShardId!)}:${StartingSequenceNumber ?? 1}` };
    }
    if (!(command instanceof GetRecordsCommand)) return this.#world.kinesis.send(command as never);
    await new Promise<void>((resolve) => void this.#world.clock.setTimer(resolve, 10));
    const { ShardIterator, Limit } = command.input;
    const [shard, first] = ShardIterator!.split(":").map(Number) as [number, number];
    const recordBytes = this.#recordBytes(shard);
    const fitting = Math.max(1, Math.floor(REPLY_BYTES / recordBytes));
    const left = this.count + 1 - first;
    const length = Math.min(Limit!, fitting, left);
    return {
      Records: Array.from({ length }, (_, index) => ({
        SequenceNumber: `${first + index}`,
        PartitionKey: "key",
        Data: this.#data.subarray(0, recordBytes),
      })),
      NextShardIterator: `${shard}:${first + length}`,
      MillisBehindLatest: length < left ? 1000 : 0,
      $metadata: {},
    };
  };

  #recordBytes(shard: number): number {
    const { recordBytes } = this.#options;
    return typeof recordBytes === "number" ? recordBytes : recordBytes(shard);
  }
}

export function shardNumber(shardId: string): number {
  return Number(shardId.slice(-6));
}
