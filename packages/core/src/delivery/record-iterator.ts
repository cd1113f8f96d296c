import type { Clock } from "../clock.ts";
import { SkipCheckpoint, type Handler, type HandlerContext } from "../handler.ts";
import { listenTo } from "../own-listener.ts";
import type { ConsumerRecord } from "../record.ts";

type RecordResult = IteratorResult<ConsumerRecord, undefined>;

interface Offer {
  readonly shardId: string;
  readonly record: ConsumerRecord;
  /**
   * Aborts when another worker owns the record: its shard was lost while it waited. Undefined = it does
   * not have to wait. Creating a signal costs more than all the rest.
   */
  readonly signal: AbortSignal | undefined;
  readonly answer: (outcome?: typeof SkipCheckpoint) => void;
  readonly reject: (reason: unknown) => void;
}

interface Request {
  readonly resolve: (result: RecordResult) => void;
  readonly reject: (error: unknown) => void;
}

/** One loop takes the records of all shards. A shard that waits for it is not stuck itself. */
export interface RecordLoop {
  /** When it took its last record, by the monotonic clock. */
  readonly tookAt: number;
  /** Is it at a record of this shard? */
  isAt(shardId: string): boolean;
}

const DONE: RecordResult = { done: true, value: undefined };

/**
 * A scan as an async iterator. Each shard offers its next record and waits. Asking for the next record
 * acknowledges the last one. `return` and `throw` acknowledge nothing and stop the scan, even while a
 * `next` waits: an async generator would queue them behind it.
 *
 * new → (next) running → (return, throw, the caller's signal) stopping → (the scan has settled) over.
 */
export class RecordIterator
  implements AsyncGenerator<ConsumerRecord, undefined, undefined>, RecordLoop
{
  readonly #scan: (handler: Handler, signal: AbortSignal, loop: RecordLoop) => Promise<void>;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#decline(this.#signal?.reason);
  #unlisten: (() => void) | undefined;
  /** Records that shards offer, in order. */
  readonly #offers: Offer[] = [];
  /** Calls of `next` that wait, in order. */
  readonly #requests: Request[] = [];
  #inHand: Offer | undefined;
  /** Settles with the scan, and never rejects. Undefined = it has not begun. */
  #scanning: Promise<void> | undefined;
  #over = false;
  /** What the scan was rejected with, until a caller gets it. */
  #failure: { readonly error: unknown } | undefined;
  #tookAt = -Infinity;

  constructor(
    scan: (handler: Handler, signal: AbortSignal, loop: RecordLoop) => Promise<void>,
    clock: Clock,
    signal: AbortSignal | undefined,
  ) {
    this.#scan = scan;
    this.#clock = clock;
    this.#signal = signal;
  }

  get tookAt(): number {
    return this.#tookAt;
  }

  isAt(shardId: string): boolean {
    return this.#inHand?.shardId === shardId;
  }

  /** The next record; the last one is acknowledged. @throws KcError of what ended the scan, once */
  async next(): Promise<RecordResult> {
    if (this.#over) return this.#rest();
    return new Promise<RecordResult>((resolve, reject) => {
      this.#requests.push({ resolve, reject });
      this.#begin();
      this.#serve();
    });
  }

  /** Stops the scan, and resolves when it has come to rest. @throws KcError of what went wrong until then */
  async return(): Promise<RecordResult> {
    await this.#end();
    return this.#rest();
  }

  /** As `return`, but rejects with `error`. */
  async throw(error: unknown): Promise<RecordResult> {
    await this.#end();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #begin(): void {
    if (this.#scanning !== undefined) return;
    if (this.#signal?.aborted) this.#onAbort();
    this.#unlisten = this.#signal && listenTo(this.#signal, this.#onAbort);
    const handler: Handler = (record, context) => this.#offer(record, context);
    this.#scanning = this.#scan(handler, this.#stop.signal, this).then(
      () => this.#settle(),
      (error: unknown) => {
        this.#failure = { error };
        this.#settle();
      },
    );
  }

  #offer(record: ConsumerRecord, context: HandlerContext): unknown {
    if (this.#stop.signal.aborted) return SkipCheckpoint;
    const { shardId } = context;
    const signal = this.#requests.length > 0 ? undefined : context.signal;
    return new Promise((answer, reject) => {
      this.#offers.push({ shardId, record, signal, answer, reject });
      this.#serve();
    });
  }

  #serve(): void {
    while (this.#requests.length > 0) {
      this.#inHand?.answer();
      this.#inHand = this.#takeOffer();
      if (this.#inHand === undefined) return;
      this.#tookAt = this.#clock.monotonic();
      this.#requests.shift()!.resolve({ done: false, value: this.#inHand.record });
    }
  }

  #takeOffer(): Offer | undefined {
    for (;;) {
      const offer = this.#offers.shift();
      if (!offer?.signal?.aborted) return offer;
      offer.reject(offer.signal.reason);
    }
  }

  /** The scan stops. Records that wait are delivered again by a later scan. */
  #decline(reason?: unknown): void {
    this.#stop.abort(reason);
    for (const { answer } of this.#offers.splice(0)) answer(SkipCheckpoint);
  }

  async #end(): Promise<void> {
    this.#inHand?.answer(SkipCheckpoint);
    this.#inHand = undefined;
    this.#decline();
    for (const { resolve } of this.#requests.splice(0)) resolve(DONE);
    if (this.#scanning === undefined) this.#over = true;
    await this.#scanning;
  }

  #settle(): void {
    this.#over = true;
    this.#inHand = undefined;
    this.#unlisten?.();
    for (const { resolve, reject } of this.#requests.splice(0)) this.#rest().then(resolve, reject);
  }

  async #rest(): Promise<RecordResult> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return DONE;
  }
}
