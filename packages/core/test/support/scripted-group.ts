import type {
  Checkpoint,
  Fence,
  Group,
  GroupHost,
  MemoryStoreData,
  Revocation,
  Shard,
  ShardOutcome,
} from "../../src/index.ts";

export interface GrantOptions {
  readonly presentAtStart?: boolean;
  readonly afterParent?: boolean;
  /** Revoked before it is read at all. */
  readonly revoked?: Revocation;
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
  /** What the lease has left; 0 freezes it. */
  remainingMs = Infinity;
  /** Undefined while it is read. */
  outcome: ShardOutcome | undefined;
  readonly #revocation = new AbortController();
  readonly #lose: () => void;

  constructor(host: GroupHost, data: MemoryStoreData, shard: Shard, options: GrantOptions) {
    const row = data.shard(host.scope, shard.shardId);
    const claim = (owner: string): Fence => ({
      epoch: (row.epoch += 1),
      owner: (row.owner = owner),
    });
    this.#lose = () => void claim("w2#b");
    this.fence = claim("w1#a");
    this.checkpoint = row.checkpoint;
    if (options.revoked) this.#revoke(options.revoked);
    void host
      .read({
        shardId: shard.shardId,
        checkpoint: this.checkpoint,
        presentAtStart: options.presentAtStart ?? true,
        afterParent: options.afterParent ?? false,
        fence: this.fence,
        remainingMs: () => this.remainingMs,
        revoked: this.#revocation.signal,
      })
      .then((outcome) => (this.outcome = outcome));
  }

  handOff(deadlineMs = 5000): void {
    this.#revoke({ kind: "hand-off", deadlineMs });
  }

  /** Another worker has claimed it. */
  lose(detail = "evicted"): void {
    this.#lose();
    this.#revoke({ kind: "lost", detail });
  }

  /** Another worker has claimed it, and this one does not know. */
  loseUnawares(): void {
    this.#lose();
  }

  #revoke(revocation: Revocation): void {
    this.#revocation.abort(revocation);
  }
}
