import type { Clock } from "../clock.ts";
import { serviceError } from "../errors.ts";
import type { Quotas } from "./quotas.ts";
import type { StreamSettings } from "./stream-settings.ts";
import { Stream, type StreamState, type StreamStatus } from "./stream.ts";

/** Open shards of an account in one Region. */
export const SHARD_LIMIT = 20_000;

/** A name, how many streams of it are gone, and their latest shard's second. */
export type EarlierStreams = readonly [name: string, count: number, latestSecond: number];

export interface StreamsOptions {
  readonly clock: Clock;
  readonly region: string;
  readonly account: string;
  readonly transitionMs: number;
  readonly quotas: Quotas;
}

/** How a request names a stream. */
export interface StreamReference {
  readonly StreamName?: string | undefined;
  readonly StreamARN?: string | undefined;
}

/** The streams of one account in one Region, under the service's own clock. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #streams = new Map<string, Stream>();
  /** By name: how many streams there were, and their latest shard's second. */
  readonly #earlier = new Map<string, { readonly count: number; readonly latestSecond: number }>();
  readonly #transitions = new Map<
    Stream,
    { readonly due: number; readonly end: (at: number) => void }
  >();
  /** The wall clock minus the monotonic one, once: the service's clock does not jump. */
  #epoch: number;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#epoch = options.clock.now() - options.clock.monotonic();
  }

  get account(): string {
    return this.#options.account;
  }

  /** The service's time, in whole milliseconds since the epoch. */
  now(): number {
    return Math.floor(this.#epoch + this.#options.clock.monotonic());
  }

  /** Sets the service's clock to `time` if it is behind it. Nothing restored lies in the future then. */
  continueFrom(time: number): void {
    this.#epoch = Math.max(this.#epoch, time - this.#options.clock.monotonic());
  }

  /** All streams, in the order of their names. */
  list(): Stream[] {
    this.#endTransitions();
    return [...this.#streams.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  get openShardCount(): number {
    return this.list().reduce((sum, stream) => sum + stream.open.count, 0);
  }

  /** Throws LimitExceededException if so many more open shards are too many for the account. */
  checkShardLimit(added: number): void {
    if (added <= 0 || this.openShardCount + added <= SHARD_LIMIT) return;
    throw serviceError(
      "LimitExceededException",
      `This request would exceed the shard limit for the account ${this.account} in ` +
        `${this.#options.region}. Current shard count for the account: ${this.openShardCount}. ` +
        `Limit: ${SHARD_LIMIT}. Number of additional shards that would have resulted from this ` +
        `request: ${added}.`,
    );
  }

  /** The stream of a name, if there is one. */
  get(name: string): Stream | undefined {
    this.#endTransitions();
    return this.#streams.get(name);
  }

  /** The stream that a request names, if it names one that there is. */
  named({ StreamName: name, StreamARN: arn }: StreamReference): Stream | undefined {
    const found = name ?? arn?.slice(arn.indexOf("/") + 1);
    return found === undefined ? undefined : this.get(found);
  }

  /** The stream that a request means. Throws ResourceNotFound- or InvalidArgumentException. */
  find(reference: StreamReference): Stream {
    const name = this.#nameOf(reference);
    const stream = this.get(name);
    const elsewhere = reference.StreamARN !== undefined && reference.StreamARN !== this.arnOf(name);
    if (stream === undefined || elsewhere) {
      const account = reference.StreamARN?.split(":")[4] ?? this.account;
      const message = `Stream ${name} under account ${account} not found.`;
      throw serviceError("ResourceNotFoundException", message);
    }
    return stream;
  }

  /** The stream, which must be ACTIVE, or ResourceInUseException. */
  findActive(reference: StreamReference, alsoAllowed?: StreamStatus): Stream {
    const stream = this.find(reference);
    if (stream.status !== "ACTIVE" && stream.status !== alsoAllowed) {
      throw serviceError(
        "ResourceInUseException",
        `Stream ${stream.name} under account ${this.account} not ACTIVE, ` +
          `instead in state ${stream.status}`,
      );
    }
    return stream;
  }

  create(name: string, shardCount: number, settings: StreamSettings, transitionMs?: number): void {
    this.#endTransitions();
    if (this.#streams.has(name)) {
      const message = `Stream ${name} under account ${this.account} already exists.`;
      throw serviceError("ResourceInUseException", message);
    }
    const earlier = this.#earlier.get(name) ?? { count: 0, latestSecond: 0 };
    const options = {
      name,
      arn: this.arnOf(name),
      createdAt: this.now(),
      incarnation: earlier.count,
      firstSecond: earlier.latestSecond + 1,
      settings,
      quotas: this.#options.quotas,
    };
    const stream = Stream.create(options, shardCount);
    this.#streams.set(name, stream);
    this.transition(stream, "CREATING", () => {}, transitionMs);
  }

  /** Puts back a stream that `Stream.state` described; one of the same name is replaced. */
  restore(state: StreamState): Stream {
    const stream = Stream.restore(state, this.arnOf(state.name), this.#options.quotas);
    this.#streams.set(state.name, stream);
    return stream;
  }

  /** The names of streams that are gone, and what keeps the next ones' sequence numbers above theirs. */
  get earlier(): readonly EarlierStreams[] {
    return [...this.#earlier].map(([name, { count, latestSecond }]) => [name, count, latestSecond]);
  }

  restoreEarlier(earlier: readonly EarlierStreams[]): void {
    for (const [name, count, latestSecond] of earlier) {
      this.#earlier.set(name, { count, latestSecond });
    }
  }

  /** Ends all transitions now, before they are due. */
  endTransitions(): void {
    this.#endTransitions();
    const now = this.now();
    for (const { end } of this.#transitions.values()) end(now);
    this.#transitions.clear();
  }

  delete(stream: Stream): void {
    this.transition(stream, "DELETING", () => {
      const { name, incarnation, latestSecond } = stream;
      this.#earlier.set(name, { count: incarnation + 1, latestSecond });
      this.#streams.delete(name);
    });
  }

  /** Puts the stream into `status` for the transition's time, then does `end` and is ACTIVE. */
  transition(
    stream: Stream,
    status: StreamStatus,
    end: (at: number) => void,
    ms: number = this.#options.transitionMs,
  ): void {
    const due = this.now() + ms;
    stream.status = status;
    this.#transitions.set(stream, {
      due,
      end: (at) => {
        stream.status = "ACTIVE";
        end(at);
      },
    });
    this.#endTransitions();
  }

  arnOf(name: string): string {
    return `arn:aws:kinesis:${this.#options.region}:${this.account}:stream/${name}`;
  }

  /** The name in a request's StreamName or StreamARN; both must agree where both are given. */
  #nameOf(reference: StreamReference): string {
    const { StreamName: name, StreamARN: arn } = reference;
    const nameInArn = arn?.slice(arn.indexOf("/") + 1);
    if (name !== undefined && nameInArn !== undefined && name !== nameInArn) {
      const message = `StreamName ${name} and StreamARN ${arn} do not name the same stream.`;
      throw serviceError("InvalidArgumentException", message);
    }
    const found = name ?? nameInArn;
    if (found === undefined) {
      const message = "Either StreamName or StreamARN must be provided.";
      throw serviceError("InvalidArgumentException", message);
    }
    return found;
  }

  /** Transitions end by themselves: the first call after the due time carries them out. */
  #endTransitions(): void {
    const now = this.now();
    for (const [stream, { due, end }] of this.#transitions) {
      if (due > now) continue;
      this.#transitions.delete(stream);
      end(due);
    }
  }
}
