import { GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-kinesis";
import type { World } from "./world.ts";

const MIB = 2 ** 20;
/** The most that a reply holds. */
const REPLY_BYTES = 10 * MIB;

export interface LargeShardsOptions {
  readonly recordBytes: number;
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
  readonly #data: Uint8Array;
  readonly #began: number;

  constructor(world: World, options: LargeShardsOptions) {
    this.#world = world;
    this.#options = options;
    this.#data = new Uint8Array(options.recordBytes);
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
      const { StartingSequenceNumber } = command.input;
      return { ShardIterator: StartingSequenceNumber ?? "1" };
    }
    if (!(command instanceof GetRecordsCommand)) return this.#world.kinesis.send(command as never);
    await new Promise<void>((resolve) => void this.#world.clock.setTimer(resolve, 10));
    const { ShardIterator, Limit } = command.input;
    const first = Number(ShardIterator);
    const { recordBytes } = this.#options;
    const fitting = Math.max(1, Math.floor(REPLY_BYTES / recordBytes));
    const left = this.count + 1 - first;
    const length = Math.min(Limit!, fitting, left);
    return {
      Records: Array.from({ length }, (_, index) => ({
        SequenceNumber: `${first + index}`,
        PartitionKey: "key",
        Data: this.#data,
      })),
      NextShardIterator: `${first + length}`,
      MillisBehindLatest: length < left ? 1000 : 0,
      $metadata: {},
    };
  };
}
