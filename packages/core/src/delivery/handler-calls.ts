import type { DeliveredShard } from "./delivery.ts";
import type { HandledMetrics } from "./handled-metrics.ts";
import { HandlerCall } from "./handler-call.ts";
import { HandlerTimeouts, type TimedCall } from "./handler-timeouts.ts";
import { RecordSignals } from "./record-signal.ts";

/** What follows a call whose answer was awaited. The call is still its record's. */
export interface CallEnds<Job> {
  readonly onDone: (job: Job, answer: unknown) => void;
  readonly onFailed: (job: Job, error: unknown, call: HandlerCall) => void;
  /** Calls are over, and there is room for others. Called once for those that return together. */
  readonly onRoom: () => void;
}

/**
 * The calls of the handler that are under way for one shard. Their objects are used again, so that an
 * answer that is awaited costs no closure.
 */
export class HandlerCalls<Job> {
  readonly #shard: DeliveredShard;
  readonly #metrics: HandledMetrics;
  readonly #ends: CallEnds<Job>;
  readonly #signals: RecordSignals;
  readonly #timeouts: HandlerTimeouts | undefined;
  readonly #free: OpenCall<Job>[] = [];
  /** Those that are waited for, and those that are free. */
  readonly #all = new Set<OpenCall<Job>>();
  #running = 0;
  /** Calls that returned since `onRoom` was called last; when they began, and their records, added up. */
  #returned = 0;
  #startedAt = 0;
  #records = 0;
  #onOver: () => void = () => {};
  readonly #onReturned = (): void => {
    const ms = this.#returned * this.#shard.clock.monotonic() - this.#startedAt;
    this.#metrics.took(ms, this.#records);
    this.#returned = this.#startedAt = this.#records = 0;
    this.#ends.onRoom();
  };

  constructor(
    shard: DeliveredShard,
    metrics: HandledMetrics,
    handlerTimeoutMs: number | undefined,
    ends: CallEnds<Job>,
  ) {
    this.#shard = shard;
    this.#metrics = metrics;
    this.#ends = ends;
    this.#signals = new RecordSignals(shard);
    this.#timeouts =
      handlerTimeoutMs === undefined
        ? undefined
        : new HandlerTimeouts(shard, handlerTimeoutMs, shard.drainTimeoutMs);
  }

  /** Calls whose answers are awaited. */
  get running(): number {
    return this.#running;
  }

  /** When the oldest of these began, by the monotonic clock; undefined = there is none. */
  get oldestStart(): number | undefined {
    if (this.#running === 0) return undefined;
    let oldest = Infinity;
    for (const { job, startedAt } of this.#all) {
      if (job !== undefined && startedAt < oldest) oldest = startedAt;
    }
    return oldest;
  }

  /** A call to be made. It is given back with `release`, or awaited. */
  open(): OpenCall<Job> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const call = new OpenCall<Job>(new HandlerCall(this.#shard, this.#signals), this);
    this.#all.add(call);
    return call;
  }

  /** Its answer was there at once. */
  release(call: OpenCall<Job>): void {
    call.call.end();
    this.#free.push(call);
  }

  /**
   * Its answer is a promise.
   * @param now when it began, by the monotonic clock
   * @param records how many it was called for
   */
  await(
    call: OpenCall<Job>,
    job: Job,
    answer: PromiseLike<unknown>,
    now: number,
    records = 1,
  ): void {
    this.#running += 1;
    call.job = job;
    call.records = records;
    // Handlers that hold the event loop may have made `now` old, which is fine for a metric alone.
    call.startedAt = this.#timeouts === undefined ? now : this.#shard.clock.monotonic();
    this.#timeouts?.add(call, call.startedAt);
    // A promise settles once; of another's `then` that is not known.
    void Promise.resolve(answer).then(call.onDone, call.onFailed);
  }

  /** Resolves when no answer is awaited any more. */
  async untilOver(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => (this.#onOver = resolve));
  }

  close(): void {
    this.#timeouts?.close();
    this.#signals.close();
  }

  /** The handler has returned, or has failed. */
  settled(call: OpenCall<Job>, failed: boolean, value: unknown): void {
    const { job } = call;
    // It was not waited for any longer.
    if (job === undefined) return;
    this.#timeouts?.delete(call);
    this.#over(call, job, call.timeout !== undefined || failed, call.timeout ?? value);
    call.timeout = undefined;
    this.release(call);
  }

  /** It has not returned in the time that it had after its timeout. */
  abandon(call: OpenCall<Job>): void {
    const { shardId, telemetry, drainTimeoutMs } = this.#shard;
    telemetry.warn("a handler did not return after its timeout: it is not waited for any more", {
      shardId,
      drainTimeoutMs,
    });
    this.#over(call, call.job!, true, call.timeout);
    call.call.end();
    this.#all.delete(call);
  }

  #over(call: OpenCall<Job>, job: Job, failed: boolean, value: unknown): void {
    call.job = undefined;
    this.#running -= 1;
    if (this.#returned === 0) queueMicrotask(this.#onReturned);
    this.#returned += 1;
    this.#startedAt += call.startedAt;
    this.#records += call.records;
    if (failed) this.#ends.onFailed(job, value, call.call);
    else this.#ends.onDone(job, value);
    if (this.#running === 0) this.#onOver();
  }
}

/** One call, and whose record it has. */
export class OpenCall<Job> implements TimedCall {
  readonly call: HandlerCall;
  /** Undefined = its answer is not awaited. */
  job: Job | undefined = undefined;
  startedAt = 0;
  records = 1;
  /** It has taken too long. */
  timeout: HandlerTimeoutError | undefined = undefined;
  readonly onDone: (answer: unknown) => void;
  readonly onFailed: (error: unknown) => void;
  readonly #calls: HandlerCalls<Job>;

  constructor(call: HandlerCall, calls: HandlerCalls<Job>) {
    this.call = call;
    this.#calls = calls;
    this.onDone = (answer) => calls.settled(this, false, answer);
    this.onFailed = (error) => calls.settled(this, true, error);
  }

  onTimeout(timeoutMs: number): void {
    this.timeout = new HandlerTimeoutError(timeoutMs);
    this.call.abort(this.timeout);
  }

  onOverdue(): void {
    this.#calls.abandon(this);
  }
}

/** What `context.signal` aborts with after `handlerTimeoutMs`, and what the attempt has failed with. */
export class HandlerTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`the handler took longer than ${timeoutMs} ms`);
    this.name = "HandlerTimeoutError";
  }
}
