import type { OperationName } from "./api/operation-types.ts";
import type { Clock } from "./clock.ts";
import { serviceError, type ServiceErrorName } from "./errors.ts";

/** Selects the calls that a fault affects. */
export interface FaultTarget {
  /** @default every operation */
  readonly operation?: OperationName;
  /** The first matching call to fail; 1 = the next one. @default 1 */
  readonly call?: number;
  /** Number of consecutive matching calls; `Infinity` = all. @default 1, or Infinity with a `chance` */
  readonly times?: number;
  /** Fraction of those calls that fail, above 0 and at most 1, decided by the option `random`. @default 1 */
  readonly chance?: number;
  /** Returns whether a call with this input matches. @default all match */
  readonly where?: (input: Readonly<Record<string, unknown>>) => boolean;
}

/** Selects the calls whose reply is replaced or lost. */
export interface ReplyFaultTarget extends FaultTarget {
  /** Whether the operation is still carried out, so that only its reply is lost. @default false */
  readonly takesEffect?: boolean;
}

/** What replaces the operation's reply. */
export type ReplyFault = { readonly takesEffect: boolean } & (
  | { readonly kind: "error"; readonly error: ServiceErrorName | Error }
  | { readonly kind: "dropped connection" }
  | { readonly kind: "html error"; readonly status: number }
  | { readonly kind: "no reply" }
);

export type Fault = ReplyFault | { readonly kind: "delay"; readonly ms: number };

interface PlannedFault {
  readonly target: FaultTarget;
  readonly fault: Fault;
  readonly chance: number;
  readonly first: number;
  readonly last: number;
  seen: number;
}

/**
 * Injects faults. Each method plans a fault and returns a function that cancels it. Several faults of one call apply in
 * the order in which they were planned, up to the first one that is not a delay.
 */
export class Faults {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #planned = new Set<PlannedFault>();
  /** The end of the latest black hole, by the monotonic clock. */
  #blackHoledUntil = -Infinity;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The call fails with this error: the name of a service error, or an error that is thrown as it is. */
  fail(target: ReplyFaultTarget & { readonly error: ServiceErrorName | Error }): () => void {
    // Throws here for an unknown name, not at the call.
    if (typeof target.error === "string") serviceError(target.error);
    return this.#planReply(target, { kind: "error", error: target.error });
  }

  /** The connection breaks without a reply; a `FakeKinesis` rejects with ECONNRESET. */
  drop(target: ReplyFaultTarget = {}): () => void {
    return this.#planReply(target, { kind: "dropped connection" });
  }

  /** The reply is a load balancer's HTML page with a 5xx status; a `FakeKinesis` rejects with InternalFailure. */
  htmlError(target: ReplyFaultTarget & { readonly status?: number } = {}): () => void {
    const status = target.status ?? 503;
    if (!(status >= 500 && status < 600)) throw new RangeError(`status: a 5xx, not ${status}`);
    return this.#planReply(target, { kind: "html error", status });
  }

  /** The call is never answered: it ends only when its caller aborts it. */
  hang(target: ReplyFaultTarget = {}): () => void {
    return this.#planReply(target, { kind: "no reply" });
  }

  /** The call is carried out `ms` milliseconds later, by the clock. */
  delay(target: FaultTarget & { readonly ms: number }): () => void {
    checkDuration(target.ms);
    return this.#plan(target, { kind: "delay", ms: target.ms });
  }

  /**
   * Drops everything in both directions for `ms` milliseconds from now, unnoticed by both sides. A call that is in
   * flight during that time ends only when its caller aborts it.
   */
  blackHole({ ms }: { readonly ms: number }): () => void {
    checkDuration(ms);
    this.#blackHoledUntil = Math.max(this.#blackHoledUntil, this.#clock.monotonic() + ms);
    return () => this.#endBlackHole();
  }

  /** Cancels all planned faults. Calls that were lost stay lost. */
  clear(): void {
    this.#planned.clear();
    this.#endBlackHole();
  }

  /** Counts a call, and returns the faults that apply to it. */
  faultsOf(operation: OperationName, input: Readonly<Record<string, unknown>>): Fault[] {
    const faults: Fault[] = [];
    for (const planned of this.#planned) {
      const { target, chance } = planned;
      if (target.operation !== undefined && target.operation !== operation) continue;
      if (target.where !== undefined && !target.where(input)) continue;
      planned.seen++;
      const applies = planned.seen >= planned.first && (chance === 1 || this.#random() < chance);
      if (applies) faults.push(planned.fault);
      if (planned.seen >= planned.last) this.#planned.delete(planned);
    }
    return faults;
  }

  /** Whether there was a black hole at any time after `since`, by the monotonic clock. */
  blackHoledSince(since: number): boolean {
    return this.#blackHoledUntil > since;
  }

  #endBlackHole(): void {
    this.#blackHoledUntil = Math.min(this.#blackHoledUntil, this.#clock.monotonic());
  }

  #planReply(target: ReplyFaultTarget, fault: WithoutEffect<ReplyFault>): () => void {
    return this.#plan(target, { ...fault, takesEffect: target.takesEffect ?? false });
  }

  #plan(target: FaultTarget, fault: Fault): () => void {
    const { call = 1, chance = 1 } = target;
    const times = target.times ?? (target.chance === undefined ? 1 : Infinity);
    if (!(Number.isInteger(call) && call >= 1)) throw new RangeError(`call: from 1, not ${call}`);
    if (!(times >= 1)) throw new RangeError(`times: at least 1, not ${times}`);
    if (!(chance > 0 && chance <= 1)) {
      throw new RangeError(`chance: above 0 and up to 1, not ${chance}`);
    }
    const planned = { target, fault, chance, first: call, last: call + times - 1, seen: 0 };
    this.#planned.add(planned);
    return () => void this.#planned.delete(planned);
  }
}

type WithoutEffect<F> = F extends unknown ? Omit<F, "takesEffect"> : never;

function checkDuration(ms: number): void {
  if (!(ms >= 0)) throw new RangeError(`ms: at least 0, not ${ms}`);
}
