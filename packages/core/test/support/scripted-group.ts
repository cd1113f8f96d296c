import type {
  Checkpoint,
  Fence,
  Group,
  GroupHost,
  Revocation,
  Shard,
  ShardOutcome,
} from "../../src/index.ts";

export interface GrantOptions {
  readonly checkpoint?: Checkpoint | undefined;
  readonly presentAtStart?: boolean;
  readonly afterParent?: boolean;
}

/** A group that does what a test tells it, in the place of a LeaseGroup. */
export class ScriptedGroup implements Group {
  readonly #owner: string;
  readonly #epochs = new Map<string, number>();
  #host: GroupHost | undefined;
  #shards: readonly Shard[] = [];
  /** Ends `run` with this error. */
  fail: (error: Error) => void = () => {};
  /** Does `run` go on after the stop, for ever? */
  neverReturns = false;

  constructor(owner = "w1#a") {
    this.#owner = owner;
  }

  async run(host: GroupHost, signal: AbortSignal): Promise<void> {
    this.#host = host;
    this.#shards = await host.listShards(signal);
    await new Promise<void>((resolve, reject) => {
      this.fail = reject;
      signal.addEventListener("abort", () => {
        if (!this.neverReturns) resolve();
      });
    });
  }

  /** Grants a shard, each time with a new epoch. */
  grant(shardId: string, options: GrantOptions = {}): Grant {
    const epoch = (this.#epochs.get(shardId) ?? 0) + 1;
    this.#epochs.set(shardId, epoch);
    const shard = this.#shards.find((listed) => listed.shardId === shardId)!;
    return new Grant(this.#host!, shard, { epoch, owner: this.#owner }, options);
  }
}

/** One shard granted: its lease in the test's hand, and how its reading ended. */
export class Grant {
  readonly fence: Fence;
  /** What the lease has left; 0 freezes it. */
  remainingMs = Infinity;
  /** Undefined while it is read. */
  outcome: ShardOutcome | undefined;
  readonly #revocation = new AbortController();

  constructor(host: GroupHost, shard: Shard, fence: Fence, options: GrantOptions) {
    this.fence = fence;
    void host
      .read({
        shard,
        checkpoint: options.checkpoint,
        presentAtStart: options.presentAtStart ?? true,
        afterParent: options.afterParent ?? false,
        fence,
        remainingMs: () => this.remainingMs,
        revoked: this.#revocation.signal,
      })
      .then((outcome) => (this.outcome = outcome));
  }

  revoke(revocation: Revocation): void {
    this.#revocation.abort(revocation);
  }

  handOff(deadlineMs = 5000): void {
    this.revoke({ kind: "hand-off", deadlineMs });
  }

  lose(detail = "evicted"): void {
    this.revoke({ kind: "lost", detail });
  }
}
