import type { Clock } from "../clock.ts";
import { serviceError } from "../errors.ts";
import type { Quotas } from "./quotas.ts";
import type { StreamSettings } from "./stream-settings.ts";
import { Stream, type StreamState, type StreamStatus } from "./stream.ts";

/** Maximum number of open shards of an account in one Region. */
export const SHARD_LIMIT = 20_000;

/** The deleted streams of a name: their number, and the second of their latest shard. */
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
  /** Deleted streams by name: see `EarlierStreams`. */
  readonly #earlier = new Map<string, { readonly count: number; readonly latestSecond: number }>();
  readonly #transitions = new Map<
    Stream,
    { readonly due: number; readonly end: (at: number) => void }
  >();
  /** Wall-clock minus monotonic time at the start, because the service's clock does not jump. */
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

  /** Sets the service's clock to `time` if it is behind, so that restored data is not in the future. */
  continueFrom(time: number): void {
    this.#epoch = Math.max(this.#epoch, time - this.#options.clock.monotonic());
  }

  /** All streams, in order of their names. */
  list(): Stream[] {
    this.#endTransitions();
    return [...this.#streams.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  get openShardCount(): number {
    return this.list().reduce((sum, stream) => sum + stream.open.count, 0);
  }

  /** @throws LimitExceededException if `added` more open shards exceed the limit of the account */
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

  /** The stream of this name; undefined = none. */
  get(name: string): Stream | undefined {
    this.#endTransitions();
    return this.#streams.get(name);
  }

  /** The stream that a request names; undefined if it names none, or the stream does not exist. */
  named({ StreamName: name, StreamARN: arn }: StreamReference): Stream | undefined {
    const found = name ?? arn?.slice(arn.indexOf("/") + 1);
    return found === undefined ? undefined : this.get(found);
  }

  /** The stream that a request names. @throws ResourceNotFoundException, InvalidArgumentException */
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

  /** As `find`. @throws ResourceInUseException unless the stream is ACTIVE, or in the status `alsoAllowed` */
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

  /** Restores a stream from its `state()`, and replaces one of the same name. */
  restore(state: StreamState): Stream {
    const stream = Stream.restore(state, this.arnOf(state.name), this.#options.quotas);
    this.#streams.set(state.name, stream);
    return stream;
  }

  /** The deleted streams, so that sequence numbers of later streams with the same name are above theirs. */
  get earlier(): readonly EarlierStreams[] {
    return [...this.#earlier].map(([name, { count, latestSecond }]) => [name, count, latestSecond]);
  }

  restoreEarlier(earlier: readonly EarlierStreams[]): void {
    for (const [name, count, latestSecond] of earlier) {
      this.#earlier.set(name, { count, latestSecond });
    }
  }

  /** Ends all transitions now, even if they are not due. */
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

  /** Sets the stream to `status` for `ms` milliseconds, then to ACTIVE, and calls `end`. */
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

  /** The name in StreamName or StreamARN, which must agree. @throws InvalidArgumentException */
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

  /** Ends transitions that are due. Called by every access, so no timers are needed. */
  #endTransitions(): void {
    const now = this.now();
    for (const [stream, { due, end }] of this.#transitions) {
      if (due > now) continue;
      this.#transitions.delete(stream);
      end(due);
    }
  }
}
