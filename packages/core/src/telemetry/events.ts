import type { Checkpoint } from "../checkpoints/position.ts";
import type { KcError } from "../errors.ts";
import { listenTo } from "../own-listener.ts";

/** How the reading of a shard ended; `ShardOutcome` has the details. */
export type ShardOutcomeKind =
  | "ended"
  | "aged-out"
  | "released"
  | "forced"
  | "lost"
  | "stopped"
  | "failed";

/** What records of a shard wait for: the store, the lease, or the user who has paused it. */
export type PauseReason = "store" | "lease" | "user";

/** A change of a consumer's status. `consumer.status()` gives the present one. */
export type ConsumerEvent =
  | { readonly kind: "scan-begun" }
  /** No further record is begun. `error` = why, if not by the caller's signal. */
  | { readonly kind: "scan-stopping"; readonly error: KcError | undefined }
  /** `error` = what the promise of the scan was rejected with. */
  | { readonly kind: "scan-ended"; readonly error: KcError | undefined }
  /** `owner` holds its lease; undefined without one. */
  | {
      readonly kind: "shard-begun";
      readonly shardId: string;
      readonly owner: string | undefined;
    }
  /** Records wait until the store has caught up, a heartbeat has renewed the lease, or the user resumes. */
  | {
      readonly kind: "shard-paused";
      readonly shardId: string;
      readonly waitingFor: PauseReason;
    }
  | { readonly kind: "shard-resumed"; readonly shardId: string }
  /** A call for the stream as a whole fails. It is retried until it is answered, and reported once. */
  | { readonly kind: "stream-troubled"; readonly operation: string; readonly error: string }
  /** It is answered, or not tried any more, after so many milliseconds. */
  | { readonly kind: "stream-recovered"; readonly operation: string; readonly forMs: number }
  /** A call of the store fails. It is retried until it is answered, and reported once. */
  | { readonly kind: "store-troubled"; readonly operation: string; readonly error: string }
  /** It is answered, or not tried any more, after so many milliseconds. */
  | { readonly kind: "store-recovered"; readonly operation: string; readonly forMs: number }
  /** The dead-letter queue does not take letters: the keys of their records wait. Reported once. */
  | { readonly kind: "dead-letters-troubled"; readonly operation: string; readonly error: string }
  /** It takes them, or they are not sent any more, after so many milliseconds. */
  | { readonly kind: "dead-letters-recovered"; readonly operation: string; readonly forMs: number }
  /** GetRecords or GetShardIterator fails. It is retried until it is answered, and reported once. */
  | { readonly kind: "shard-troubled"; readonly shardId: string; readonly error: string }
  | { readonly kind: "shard-recovered"; readonly shardId: string }
  /** The record in hand is finished, and what is finished is flushed. */
  | { readonly kind: "shard-draining"; readonly shardId: string }
  /** It is no longer read here. `acknowledged` = as far as the store knows. */
  | {
      readonly kind: "shard-over";
      readonly shardId: string;
      readonly outcome: ShardOutcomeKind;
      readonly acknowledged: Checkpoint | undefined;
    }
  /** The reader was too slow: so many events were left out here. */
  | { readonly kind: "events-missed"; readonly count: number };

type Result = IteratorResult<ConsumerEvent, undefined>;

/** Events that wait for a reader; what comes beyond is left out, and counted. */
const MOST_WAITING = 1000;

/** Events on their way to their readers. Without readers nothing is kept. */
export class EventFeed {
  readonly #readers = new Set<EventReader>();

  emit(event: ConsumerEvent): void {
    for (const reader of this.#readers) reader.take(event);
  }

  /** Events from now on, until the signal aborts or the loop is left. */
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
  /** Calls of `next` that wait for an event, in their order. */
  readonly #waiting: ((result: Result) => void)[] = [];
  #missed = 0;
  #ended = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  take(event: ConsumerEvent): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next({ done: false, value: event });
    else if (this.#events.length < MOST_WAITING) this.#events.push(event);
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
