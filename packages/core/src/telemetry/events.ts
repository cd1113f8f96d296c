import type { Checkpoint } from "../checkpoints/position.ts";
import type { KcError } from "../errors.ts";
import { listenTo } from "../own-listener.ts";

/** How reading a shard ended; `ShardOutcome` explains each. */
export type ShardOutcomeKind =
  | "ended"
  | "aged-out"
  | "released"
  | "forced"
  | "lost"
  | "stopped"
  | "failed";

/** What a paused shard waits for: the store, its lease, or the end of a `pause` by the user. */
export type PauseReason = "store" | "lease" | "user";

/** A change of a consumer's status. `consumer.status()` returns the current status. */
export type ConsumerEvent =
  | { readonly kind: "scan-started" }
  /** No further record is started. `error` = what stopped the scan; undefined = the caller's signal. */
  | { readonly kind: "scan-stopping"; readonly error: KcError | undefined }
  /** `error` = what the scan's promise rejects with; undefined = it resolves. */
  | { readonly kind: "scan-ended"; readonly error: KcError | undefined }
  /** Reading a shard begins. `owner` = the owner of its lease; undefined without a lease. */
  | {
      readonly kind: "shard-started";
      readonly shardId: string;
      readonly owner: string | undefined;
    }
  /** Records wait until the store has caught up, a heartbeat is acknowledged, or the user resumes the shard. */
  | {
      readonly kind: "shard-paused";
      readonly shardId: string;
      readonly waitingFor: PauseReason;
    }
  | { readonly kind: "shard-resumed"; readonly shardId: string }
  /** A Kinesis call for the whole stream fails. Emitted once; the call is retried until it is answered. */
  | { readonly kind: "stream-failing"; readonly operation: string; readonly error: string }
  /** The call is answered, or no longer retried, after it failed for `forMs` milliseconds. */
  | { readonly kind: "stream-recovered"; readonly operation: string; readonly forMs: number }
  /** A store call fails. Emitted once; the call is retried until it is answered. */
  | { readonly kind: "store-failing"; readonly operation: string; readonly error: string }
  /** The call is answered, or no longer retried, after it failed for `forMs` milliseconds. */
  | { readonly kind: "store-recovered"; readonly operation: string; readonly forMs: number }
  /** The dead-letter queue fails. Emitted once; later records of the affected keys wait for it. */
  | { readonly kind: "dead-letters-failing"; readonly operation: string; readonly error: string }
  /** The queue accepts letters, or they are no longer sent, after it failed for `forMs` milliseconds. */
  | { readonly kind: "dead-letters-recovered"; readonly operation: string; readonly forMs: number }
  /** GetRecords or GetShardIterator fails. Emitted once; the call is retried until it is answered. */
  | { readonly kind: "shard-failing"; readonly shardId: string; readonly error: string }
  | { readonly kind: "shard-recovered"; readonly shardId: string }
  /** Records in flight are finished, and finished work is flushed. */
  | { readonly kind: "shard-draining"; readonly shardId: string }
  /** The shard is no longer read here. `acknowledged` = the last checkpoint that the store acknowledged. */
  | {
      readonly kind: "shard-stopped";
      readonly shardId: string;
      readonly outcome: ShardOutcomeKind;
      readonly acknowledged: Checkpoint | undefined;
    }
  /** The reader was too slow: `count` events were dropped at this point. */
  | { readonly kind: "events-missed"; readonly count: number };

type Result = IteratorResult<ConsumerEvent, undefined>;

/** Maximum number of events buffered for a reader; further ones are dropped and counted. */
const MAX_BUFFERED = 1000;

/** Distributes events to their readers. Without readers, events are dropped. */
export class EventFeed {
  readonly #readers = new Set<EventReader>();

  emit(event: ConsumerEvent): void {
    for (const reader of this.#readers) reader.push(event);
  }

  /** Iterates over events from now on, until the signal aborts or the loop ends. */
  read(signal: AbortSignal | undefined): AsyncIterableIterator<ConsumerEvent> {
    const reader = new EventReader(() => {
      this.#readers.delete(reader);
      unlisten?.();
    });
    const end = (): void => reader.end();
    this.#readers.add(reader);
    const unlisten = signal && listenTo(signal, end);
    if (signal?.aborted) end();
    return reader;
  }
}

class EventReader implements AsyncIterableIterator<ConsumerEvent> {
  readonly #events: ConsumerEvent[] = [];
  readonly #onEnd: () => void;
  /** Pending calls of `next`, in order. */
  readonly #waiting: ((result: Result) => void)[] = [];
  #missed = 0;
  #ended = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(event: ConsumerEvent): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next({ done: false, value: event });
    else if (this.#events.length < MAX_BUFFERED) this.#events.push(event);
    else this.#missed += 1;
  }

  end(): void {
    this.#ended = true;
    this.#onEnd();
    for (const next of this.#waiting.splice(0)) next({ done: true, value: undefined });
  }

  next(): Promise<Result> {
    const value = this.#events.shift() ?? this.#takeMissed();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<Result> {
    this.#events.length = this.#missed = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeMissed(): ConsumerEvent | undefined {
    const count = this.#missed;
    this.#missed = 0;
    return count > 0 ? { kind: "events-missed", count } : undefined;
  }
}
