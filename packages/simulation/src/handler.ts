import type { ConsumerRecord, HandlerContext } from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import { Call } from "./call.ts";
import type { DeliveryPlan } from "./delivery-plan.ts";
import type { Ledger } from "./ledger.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { Violation } from "./violation.ts";

export interface SimulatedHandlerOptions {
  readonly workerId: string;
  readonly clock: FakeClock;
  readonly process: Process;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly deliveryRandom: Random;
  readonly plan: DeliveryPlan | undefined;
  readonly drainTimeoutMs: number;
  readonly isZombie: () => boolean;
  /** Was its worker asked to stop? */
  readonly isStopped: () => boolean;
  readonly onViolation: (error: Error) => void;
}

/** One worker's handler: it takes its time, and the ledger is told of each of its calls. */
export class SimulatedHandler {
  /** Until then, by the world's clock, each call takes so long. */
  slow: { readonly until: number; readonly ms: number } = { until: -Infinity, ms: 0 };
  /** The signals of the calls that are under way. */
  readonly signals = new Set<AbortSignal>();
  readonly #options: SimulatedHandlerOptions;

  constructor(options: SimulatedHandlerOptions) {
    this.#options = options;
  }

  /** Sync or async. */
  handle(record: ConsumerRecord, context: HandlerContext): unknown {
    const { onViolation } = this.#options;
    let call: Call;
    try {
      call = this.#begin([record], context);
    } catch (error) {
      return onViolation(error as Error);
    }
    const ms = this.#nextMs();
    if (this.#options.plan === undefined || ms > 0) return this.#takeTime(call, ms);
    return this.#end(call);
  }

  #begin(
    records: readonly ConsumerRecord[],
    { shardId, fence, attempt, signal }: HandlerContext,
  ): Call {
    const { workerId, ledger, isStopped } = this.#options;
    if (isStopped()) throw new Violation(`${workerId} was stopped, and starts another record`);
    const call = new Call({
      ...this.#options,
      records: records.map((record) => ledger.puts.get(record)),
      attempt,
      signal,
      timeoutMs: undefined,
    });
    ledger.started(call, shardId, fence);
    this.signals.add(signal);
    return call;
  }

  async #takeTime(call: Call, ms: number): Promise<void> {
    const { process } = this.#options;
    if (ms > 0) await new Promise<void>((resolve) => void process.setTimer(resolve, ms));
    return this.#end(call);
  }

  #end(call: Call): void {
    this.signals.delete(call.signal);
    this.#options.ledger.ended(call, () => call.outcome(undefined));
  }

  /** 0 = it returns at once. */
  #nextMs(): number {
    const { clock, plan } = this.#options;
    const { until, ms } = this.slow;
    if (clock.monotonic() < until) return ms;
    const random = plan === undefined ? this.#options.random : this.#options.deliveryRandom;
    if (!random.chance(plan === undefined ? 0.3 : 0.7)) return 0;
    return random.chance(0.05) ? random.between(1000, 8000) : random.between(1, 50);
  }
}
