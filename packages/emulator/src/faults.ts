import type { OperationName } from "./api/operation-types.ts";
import type { Clock } from "./clock.ts";
import { serviceError, type ServiceErrorName } from "./errors.ts";

/** Which calls a fault befalls. */
export interface FaultTarget {
  /** @default every operation */
  readonly operation?: OperationName;
  /** The first call to fail: 1 is the next one that matches. @default 1 */
  readonly call?: number;
  /** How many matching calls in a row; `Infinity` for all. @default 1, with a `chance` Infinity */
  readonly times?: number;
  /** The part of those calls that fails, above 0 and up to 1, by the option `random`. @default 1 */
  readonly chance?: number;
  /** Only calls with such an input count and fail. @default all */
  readonly where?: (input: Readonly<Record<string, unknown>>) => boolean;
}

/** Which calls get another reply than the operation's, or none. */
export interface ReplyFaultTarget extends FaultTarget {
  /** The operation is carried out all the same: only its reply is lost. @default false */
  readonly takesEffect?: boolean;
}

/** What comes in the place of the operation's reply. */
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
 * Faults on demand. Each method plans one and returns the function that takes it back. Faults that
 * fall on the same call apply in the order in which they were planned; the first one that is not a
 * delay decides.
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

  /** The call fails with an error: one of the service's by name, or any other as it is. */
  fail(target: ReplyFaultTarget & { readonly error: ServiceErrorName | Error }): () => void {
    // An unknown name is refused here, not at the call.
    if (typeof target.error === "string") serviceError(target.error);
    return this.#planReply(target, { kind: "error", error: target.error });
  }

  /** The connection breaks instead of a reply; a `FakeKinesis` rejects with ECONNRESET. */
  drop(target: ReplyFaultTarget = {}): () => void {
    return this.#planReply(target, { kind: "dropped connection" });
  }

  /** A load balancer's HTML page with a 5xx status; a `FakeKinesis` rejects with InternalFailure. */
  htmlError(target: ReplyFaultTarget & { readonly status?: number } = {}): () => void {
    const status = target.status ?? 503;
    if (!(status >= 500 && status < 600)) throw new RangeError(`status: a 5xx, not ${status}`);
    return this.#planReply(target, { kind: "html error", status });
  }

  /** No reply ever comes: the call ends only when its caller aborts it. */
  hang(target: ReplyFaultTarget = {}): () => void {
    return this.#planReply(target, { kind: "no reply" });
  }

  /** The call is carried out `ms` milliseconds of the clock later. */
  delay(target: FaultTarget & { readonly ms: number }): () => void {
    checkDuration(target.ms);
    return this.#plan(target, { kind: "delay", ms: target.ms });
  }

  /**
   * For `ms` milliseconds from now nothing gets through in either direction, and neither side notices.
   * A call that is under way at any moment of it ends only when its caller aborts it.
   */
  blackHole({ ms }: { readonly ms: number }): () => void {
    checkDuration(ms);
    this.#blackHoledUntil = Math.max(this.#blackHoledUntil, this.#clock.monotonic() + ms);
    return () => this.#endBlackHole();
  }

  /** Takes back everything that is planned. Calls that got lost stay lost. */
  clear(): void {
    this.#planned.clear();
    this.#endBlackHole();
  }

  /** Counts a call and returns what befalls it. */
  befalling(operation: OperationName, input: Readonly<Record<string, unknown>>): Fault[] {
    const faults: Fault[] = [];
    for (const planned of this.#planned) {
      const { target, chance } = planned;
      if (target.operation !== undefined && target.operation !== operation) continue;
      if (target.where !== undefined && !target.where(input)) continue;
      planned.seen++;
      const befalls = planned.seen >= planned.first && (chance === 1 || this.#random() < chance);
      if (befalls) faults.push(planned.fault);
      if (planned.seen >= planned.last) this.#planned.delete(planned);
    }
    return faults;
  }

  /** Whether the link was black-holed at any moment since then, by the monotonic clock. */
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
