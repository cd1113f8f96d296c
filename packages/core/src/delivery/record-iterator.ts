import type { Clock } from "../clock.ts";
import { SkipCheckpoint, type Handler, type HandlerContext } from "../handler.ts";
import { listenTo } from "../own-listener.ts";
import type { ConsumerRecord } from "../record.ts";

type RecordResult = IteratorResult<ConsumerRecord, undefined>;

/** A record that a shard offers to the loop, with its handler's promise. */
interface Offer {
  readonly shardId: string;
  readonly record: ConsumerRecord;
  /**
   * Aborts if the shard is lost while the record waits: then another worker owns it. Undefined if the
   * record need not wait: creating a signal costs more than everything else here.
   */
  readonly signal: AbortSignal | undefined;
  readonly answer: (outcome?: typeof SkipCheckpoint) => void;
  readonly reject: (reason: unknown) => void;
}

/** A pending call of `next`. */
interface Request {
  readonly resolve: (result: RecordResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The user's loop over the records of all shards. A shard whose record waits for it is not stuck. */
export interface RecordLoop {
  /** When the loop received its last record, by the monotonic clock. */
  readonly tookAt: number;
  /** Whether the loop is processing a record of this shard. */
  isAt(shardId: string): boolean;
}

const DONE: RecordResult = { done: true, value: undefined };

/**
 * A scan as an async iterator. Each shard offers its next record and waits. Calling `next` acknowledges the
 * last record. `return` and `throw` acknowledge nothing and stop the scan, even while a call of `next` is
 * pending: an async generator would queue them behind that call.
 *
 * new → (next) running → (return, throw, the caller's signal) stopping → (the scan has settled) ended.
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
  /** The offered records, in order. */
  readonly #offers: Offer[] = [];
  /** The pending calls of `next`, in order. */
  readonly #requests: Request[] = [];
  /** The record that the loop is processing. */
  #current: Offer | undefined;
  /** Resolves when the scan has settled. Never rejects. Undefined if the scan has not begun. */
  #scanning: Promise<void> | undefined;
  #hasEnded = false;
  /** The error of the scan, until a caller has received it. */
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
    return this.#current?.shardId === shardId;
  }

  /** Acknowledges the last record and returns the next. @throws KcError that ended the scan, once */
  async next(): Promise<RecordResult> {
    if (this.#hasEnded) return this.#rest();
    return new Promise<RecordResult>((resolve, reject) => {
      this.#requests.push({ resolve, reject });
      this.#begin();
      this.#serve();
    });
  }

  /** Stops the scan and resolves when it has settled. @throws KcError that ended the scan before */
  async return(): Promise<RecordResult> {
    await this.#end();
    return this.#rest();
  }

  /** Like `return`, but rejects with `error`. */
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
      this.#current?.answer();
      this.#current = this.#takeOffer();
      if (this.#current === undefined) return;
      this.#tookAt = this.#clock.monotonic();
      this.#requests.shift()!.resolve({ done: false, value: this.#current.record });
    }
  }

  #takeOffer(): Offer | undefined {
    for (;;) {
      const offer = this.#offers.shift();
      if (!offer?.signal?.aborted) return offer;
      offer.reject(offer.signal.reason);
    }
  }

  /** Stops the scan. The offered records are delivered again by a later scan. */
  #decline(reason?: unknown): void {
    this.#stop.abort(reason);
    for (const { answer } of this.#offers.splice(0)) answer(SkipCheckpoint);
  }

  async #end(): Promise<void> {
    this.#current?.answer(SkipCheckpoint);
    this.#current = undefined;
    this.#decline();
    for (const { resolve } of this.#requests.splice(0)) resolve(DONE);
    if (this.#scanning === undefined) this.#hasEnded = true;
    await this.#scanning;
  }

  #settle(): void {
    this.#hasEnded = true;
    this.#current = undefined;
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
