import {
  LeaseLostError,
  type Checkpoint,
  type Fence,
  type Group,
  type GroupHost,
  type HandOff,
  type MemoryStoreData,
  type Shard,
  type ShardOutcome,
} from "../../src/index.ts";

export interface GrantOptions {
  readonly presentAtStart?: boolean;
  readonly afterParent?: boolean;
  /** Taken back before it is read at all. */
  readonly takenBack?: "handed over" | "lost";
}

/** A group that does what a test tells it, in the place of a LeaseGroup. */
export class ScriptedGroup implements Group {
  readonly #data: MemoryStoreData;
  #host: GroupHost | undefined;
  #shards: readonly Shard[] = [];
  /** Ends `run` with this error. */
  fail: (error: Error) => void = () => {};
  /** What it does after the stop, before `run` returns. */
  leave: () => Promise<void> = () => Promise.resolve();

  /** @param data the leases stand beside the checkpoints, so that the store refuses old fences */
  constructor(data: MemoryStoreData) {
    this.#data = data;
  }

  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    this.#host = host;
    this.#shards = await host.listShards(signal);
    await new Promise<void>((resolve, reject) => {
      this.fail = reject;
      signal.addEventListener("abort", () => resolve());
    });
    await this.leave();
  }

  /** Grants a shard, with a new epoch and the checkpoint that stands in the store. */
  grant(shardId: string, options: GrantOptions = {}): Grant {
    const shard = this.#shards.find((listed) => listed.shardId === shardId)!;
    return new Grant(this.#host!, this.#data, shard, options);
  }
}

/** One shard granted: its lease in the test's hand, and how its reading ended. */
export class Grant {
  readonly fence: Fence;
  readonly checkpoint: Checkpoint | undefined;
  /** When the lease ends, by the world's clock. */
  endsAt = Infinity;
  /** Undefined while it is read. */
  outcome: ShardOutcome | undefined;
  readonly #handOff = new AbortController();
  readonly #lost = new AbortController();
  readonly #lose: () => void;
  readonly #shardId: string;

  constructor(host: GroupHost, data: MemoryStoreData, shard: Shard, options: GrantOptions) {
    const row = data.shard(host.scope, shard.shardId);
    const claim = (owner: string): Fence => ({
      epoch: (row.epoch += 1),
      owner: (row.owner = owner),
    });
    this.#shardId = shard.shardId;
    this.#lose = () => void claim("w2#b");
    this.fence = claim("w1#a");
    this.checkpoint = row.checkpoint;
    if (options.takenBack === "handed over") this.handOff();
    if (options.takenBack === "lost") this.lose();
    void host
      .read({
        shardId: shard.shardId,
        checkpoint: this.checkpoint,
        presentAtStart: options.presentAtStart ?? true,
        afterParent: options.afterParent ?? false,
        hashKeyRange: () => shard.hashKeyRange,
        fence: this.fence,
        remainingMs: () => this.endsAt - host.clock.monotonic(),
        handOff: this.#handOff.signal,
        lost: this.#lost.signal,
      })
      .then((outcome) => (this.outcome = outcome));
  }

  handOff(deadlineMs = 5000): void {
    this.#handOff.abort({ kind: "hand-off", deadlineMs } satisfies HandOff);
  }

  /** Another worker has claimed it. */
  lose(detail = "evicted"): void {
    this.#lose();
    this.#lost.abort(new LeaseLostError(this.#shardId, detail));
  }

  /** Another worker has claimed it, and this one does not know. */
  loseUnawares(): void {
    this.#lose();
  }
}
