import type { DeliveredShard } from "./delivery.ts";
import type { HandledMetrics } from "./handled-metrics.ts";
import { HandlerCall } from "./handler-call.ts";
import { HandlerTimeouts, type TimedCall } from "./handler-timeouts.ts";
import { RecordSignals } from "./record-signal.ts";

/** Callbacks for calls whose answers were awaited. During a callback the call still belongs to its job. */
export interface CallOutcome<Job> {
  readonly onDone: (job: Job, answer: unknown) => void;
  readonly onFailed: (job: Job, error: unknown, call: HandlerCall) => void;
  /** Calls have ended, so others may start. Called once for calls that end in the same round of microtasks. */
  readonly onRoom: () => void;
}

/**
 * The running calls of the handler for one shard. Their objects are pooled, so that awaiting an answer
 * costs no closure.
 */
export class HandlerCalls<Job> {
  readonly #shard: DeliveredShard;
  readonly #metrics: HandledMetrics;
  readonly #outcome: CallOutcome<Job>;
  readonly #signals: RecordSignals;
  readonly #timeouts: HandlerTimeouts | undefined;
  readonly #free: OpenCall<Job>[] = [];
  /** The calls that are awaited and those in the pool. */
  readonly #all = new Set<OpenCall<Job>>();
  #running = 0;
  /** The calls that ended since `onRoom` was last called, and the sums of their start times and records. */
  #returned = 0;
  #startedAtSum = 0;
  #records = 0;
  #onIdle: () => void = () => {};
  readonly #reportReturned = (): void => {
    const ms = this.#returned * this.#shard.clock.monotonic() - this.#startedAtSum;
    this.#metrics.took(ms, this.#records);
    this.#returned = this.#startedAtSum = this.#records = 0;
    this.#outcome.onRoom();
  };

  constructor(
    shard: DeliveredShard,
    metrics: HandledMetrics,
    handlerTimeoutMs: number | undefined,
    outcome: CallOutcome<Job>,
  ) {
    this.#shard = shard;
    this.#metrics = metrics;
    this.#outcome = outcome;
    this.#signals = new RecordSignals(shard);
    this.#timeouts =
      handlerTimeoutMs === undefined
        ? undefined
        : new HandlerTimeouts(shard, handlerTimeoutMs, shard.drainTimeoutMs);
  }

  /** The number of calls whose answers are awaited. */
  get running(): number {
    return this.#running;
  }

  /** When the oldest running call began, by the monotonic clock; undefined = none is running. */
  get oldestStart(): number | undefined {
    if (this.#running === 0) return undefined;
    let oldest = Infinity;
    for (const { job, startedAt } of this.#all) {
      if (job !== undefined && startedAt < oldest) oldest = startedAt;
    }
    return oldest;
  }

  /** Takes a call from the pool. The caller must pass it to `release` or `await`. */
  open(): OpenCall<Job> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const call = new OpenCall<Job>(new HandlerCall(this.#shard, this.#signals), this);
    this.#all.add(call);
    return call;
  }

  /** Returns a call to the pool: its handler returned no promise. */
  release(call: OpenCall<Job>): void {
    call.call.end();
    this.#free.push(call);
  }

  /**
   * Awaits the promise that the handler returned.
   * @param now when the call began, by the monotonic clock
   * @param records how many records the handler was called with
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
    // `now` may be old if handlers blocked the event loop: good enough for a metric, not for a timeout.
    call.startedAt = this.#timeouts === undefined ? now : this.#shard.clock.monotonic();
    this.#timeouts?.add(call, call.startedAt);
    // A promise settles once. A foreign thenable may not, so it is wrapped.
    void Promise.resolve(answer).then(call.onDone, call.onFailed);
  }

  /** Resolves when no call is running. */
  async untilIdle(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  close(): void {
    this.#timeouts?.close();
    this.#signals.close();
  }

  /** The handler's promise has settled. */
  settled(call: OpenCall<Job>, failed: boolean, value: unknown): void {
    const { job } = call;
    // The call was abandoned before.
    if (job === undefined) return;
    this.#timeouts?.delete(call);
    this.#ended(call, job, call.timeout !== undefined || failed, call.timeout ?? value);
    call.timeout = undefined;
    this.release(call);
  }

  /** Stops waiting for a handler that did not return in the time allowed after its timeout. */
  abandon(call: OpenCall<Job>): void {
    const { shardId, telemetry, drainTimeoutMs } = this.#shard;
    telemetry.warn("a handler did not return after its timeout: it is not waited for any more", {
      shardId,
      drainTimeoutMs,
    });
    this.#ended(call, call.job!, true, call.timeout);
    call.call.end();
    this.#all.delete(call);
  }

  #ended(call: OpenCall<Job>, job: Job, failed: boolean, value: unknown): void {
    call.job = undefined;
    this.#running -= 1;
    if (this.#returned === 0) queueMicrotask(this.#reportReturned);
    this.#returned += 1;
    this.#startedAtSum += call.startedAt;
    this.#records += call.records;
    if (failed) this.#outcome.onFailed(job, value, call.call);
    else this.#outcome.onDone(job, value);
    if (this.#running === 0) this.#onIdle();
  }
}

/** One call and the job that it runs. */
export class OpenCall<Job> implements TimedCall {
  readonly call: HandlerCall;
  /** Undefined if its answer is not awaited. */
  job: Job | undefined = undefined;
  startedAt = 0;
  records = 1;
  /** Set once the call has exceeded `handlerTimeoutMs`. */
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

/** The reason of `context.signal` after `handlerTimeoutMs`, and the error of that attempt. */
export class HandlerTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`the handler took longer than ${timeoutMs} ms`);
    this.name = "HandlerTimeoutError";
  }
}
