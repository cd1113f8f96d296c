import {
  NonRetriableError,
  RetryAfterError,
  type ConsumerRecord,
  type HandlerContext,
} from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { AggregatePlan } from "./aggregate-plan.ts";
import { Call, type FailedOutcome, type Outcome } from "./call.ts";
import { MAX_ASKED_MS, ONE_BY_ONE, type DeliveryPlan } from "./delivery-plan.ts";
import type { Ledger } from "./ledger.ts";
import type { Process } from "./process.ts";
import { decodeId } from "./producer.ts";
import type { PutRecord } from "./puts.ts";
import type { Random } from "./random.ts";
import type { Weather } from "./store-link.ts";
import { Violation } from "./violation.ts";

export interface SimulatedHandlerOptions {
  readonly workerId: string;
  readonly clock: FakeClock;
  readonly process: Process;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly deliveryRandom: Random;
  readonly plan: DeliveryPlan | undefined;
  readonly aggregates: AggregatePlan | undefined;
  readonly weather: Pick<Weather, "faultsAreOver">;
  readonly drainTimeoutMs: number;
  readonly isZombie: () => boolean;
  /** Whether its worker was told to stop. */
  readonly isStopped: () => boolean;
  /** Whether the shard is paused. */
  readonly isPaused: (shardId: string) => boolean;
  readonly onViolation: (error: Error) => void;
}

/** One worker's handler. It takes time, and reports each of its calls to the ledger. */
export class SimulatedHandler {
  /** The duration of each call, until this time of the global clock. */
  slow: { readonly until: number; readonly ms: number } = { until: -Infinity, ms: 0 };
  /** The signals of the running calls. */
  readonly signals = new Set<AbortSignal>();
  readonly #options: SimulatedHandlerOptions;

  constructor(options: SimulatedHandlerOptions) {
    this.#options = options;
  }

  /** Sync or async. */
  handle(record: ConsumerRecord, context: HandlerContext): unknown {
    return this.#handle([record], context);
  }

  /** Sync or async. Sometimes it reports failed records. */
  handleBatch(records: readonly ConsumerRecord[], context: HandlerContext): unknown {
    return this.#handle(records, context);
  }

  #handle(records: readonly ConsumerRecord[], context: HandlerContext): unknown {
    const { onViolation } = this.#options;
    let call: Call;
    try {
      call = this.#begin(records, context);
    } catch (error) {
      return onViolation(error as Error);
    }
    const ms = this.#nextMs();
    if (this.#options.plan === undefined || ms > 0) return this.#takeTime(call, ms);
    return this.#end(call, undefined);
  }

  #begin(
    records: readonly ConsumerRecord[],
    { shardId, fence, attempt, signal }: HandlerContext,
  ): Call {
    const { workerId, ledger, isStopped, isPaused } = this.#options;
    if (isPaused(shardId)) throw new Violation(`${workerId} starts a record of a paused shard`);
    if (isStopped()) throw new Violation(`${workerId} was stopped, and starts another record`);
    const call = new Call({
      ...this.#options,
      records: records.map((record) => ledger.puts.get(record)),
      attempt,
      signal,
      timeoutMs: this.#plan.handlerTimeoutMs,
      minDelayMs: this.#plan.retry?.minDelayMs ?? 0,
    });
    this.#checkAge(call.records);
    this.#checkDecoded(records, call.records);
    ledger.started(call, shardId, fence);
    this.signals.add(signal);
    return call;
  }

  #checkAge(records: readonly PutRecord[]): void {
    const { process, workerId } = this.#options;
    const { maxRecordAgeMs = Infinity } = this.#plan;
    // Arrival has whole milliseconds.
    const old = records.find(({ arrivedAt }) => process.now() - arrivedAt > maxRecordAgeMs + 2);
    if (old !== undefined) throw new Violation(`${workerId}: ${old.id} is too old to be tried`);
  }

  #checkDecoded(records: readonly ConsumerRecord[], puts: readonly PutRecord[]): void {
    const { workerId, aggregates } = this.#options;
    if (aggregates?.undecodable === undefined) return;
    const wrong = records.findIndex((record) => record.value !== decodeId(record));
    if (wrong >= 0) throw new Violation(`${workerId}: ${puts[wrong]!.id} is not decoded`);
  }

  async #takeTime(call: Call, ms: number): Promise<unknown> {
    let interrupted: { readonly error: unknown } | undefined;
    if (ms > 0) {
      await this.#sleep(ms, this.#plan.heeds ? call.signal : undefined).catch(
        (error: unknown) => (interrupted = { error }),
      );
    }
    return this.#end(call, interrupted);
  }

  /** Rejects when the signal aborts. */
  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { process } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = process.setTimer(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      const onAbort = (): void => {
        cancel();
        reject(signal!.reason as Error);
      };
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** @throws the call's error */
  #end(call: Call, interrupted: { readonly error: unknown } | undefined): unknown {
    const { ledger, deliveryRandom: random } = this.#options;
    this.signals.delete(call.signal);
    const thrown = interrupted ?? this.#failure(call.records);
    if (this.#plan.batches !== undefined && thrown !== undefined && !call.signal.aborted) {
      if (random.chance(0.5)) return this.#answer(call);
    }
    const outcome = call.outcome(thrown);
    ledger.ended(call, () => outcome);
    if (thrown !== undefined) throw thrown.error;
    return undefined;
  }

  /** A result that reports the poison records, and others. */
  #answer(call: Call): unknown {
    const { ledger, deliveryRandom: random } = this.#options;
    const failed: FailedOutcome = { ...call.failed(), isNamed: true };
    if (random.chance(0.1)) {
      // It reports a record that is not in the batch, so all have failed.
      ledger.ended(call, () => call.failed());
      return { batchItemFailures: [{ itemIdentifier: "1" }] };
    }
    const chosen = call.records.filter(
      ({ poison }) => poison < this.#plan.poison || random.chance(0.2),
    );
    // A plain sequence number names all user records of its aggregate.
    const isInside = chosen.some(({ subSequenceNumber }) => subSequenceNumber !== undefined);
    const isBare = isInside && random.chance(0.5);
    const bare = new Set(isBare ? chosen.map(({ sequenceNumber }) => sequenceNumber) : []);
    const named = new Set(chosen);
    for (const record of call.records) if (bare.has(record.sequenceNumber)) named.add(record);
    const failedLines = new Set<string>();
    const outcomes = new Map<PutRecord, Outcome>();
    for (const record of call.records) {
      const line = this.#lineOf(record);
      if (failedLines.has(line)) outcomes.set(record, { kind: "interrupted" });
      else if (!named.has(record)) outcomes.set(record, { kind: "done" });
      else {
        outcomes.set(record, failed);
        failedLines.add(line);
      }
    }
    ledger.ended(call, (record) => outcomes.get(record)!);
    return {
      batchItemFailures: chosen.map(({ sequenceNumber, subSequenceNumber: sub }) => ({
        itemIdentifier: isBare || sub === undefined ? sequenceNumber : `${sequenceNumber}:${sub}`,
      })),
    };
  }

  /** Identifies the records that are repeated after a failed one. */
  #lineOf({ id, partitionKey }: PutRecord): string {
    const { concurrency, ordering } = this.#plan;
    if (ordering === "none") return id;
    return concurrency === 1 ? "" : (partitionKey ?? id);
  }

  /** The handler's error; `undefined` if it succeeds. */
  #failure(records: readonly PutRecord[]): { readonly error: unknown } | undefined {
    const { deliveryRandom: random, weather } = this.#options;
    const { failing, poison, retry, onFailure } = this.#plan;
    const isPoisoned = records.some(({ poison: at }) => at < poison);
    const fails = failing > 0 && !weather.faultsAreOver && random.chance(failing);
    if (!isPoisoned && !fails) return undefined;
    const endsScans = onFailure === "stop" && retry?.maxAttempts === Infinity;
    const roll = random.next();
    if (roll < 0.1 && !endsScans) return { error: new NonRetriableError("it will never work") };
    if (roll < 0.2) return { error: new RetryAfterError(random.between(0, MAX_ASKED_MS)) };
    if (roll < 0.3) return { error: random.pick([undefined, "a text", null]) };
    return { error: new Error("the simulated handler") };
  }

  get #plan(): DeliveryPlan {
    return this.#options.plan ?? ONE_BY_ONE;
  }

  /** The duration of the next call; 0: it returns synchronously. */
  #nextMs(): number {
    const { clock, plan } = this.#options;
    const { until, ms } = this.slow;
    if (clock.monotonic() < until) return ms;
    const random = plan === undefined ? this.#options.random : this.#options.deliveryRandom;
    if (!random.chance(plan === undefined ? 0.3 : 0.7)) return 0;
    return random.chance(0.05) ? random.between(1000, 8000) : random.between(1, 50);
  }
}
