import type { OperationName } from "./api/operation-types.ts";
import { serviceError, type ServiceErrorName } from "./errors.ts";

/** Which calls a fault befalls. */
export interface FaultTarget {
  /** Default: every operation. */
  readonly operation?: OperationName;
  /** The first call to fail: 1 is the next one that matches. Default 1. */
  readonly call?: number;
  /** How many matching calls in a row fail; `Infinity` for all. Default 1. */
  readonly times?: number;
  /** Only calls with such an input count and fail. Default: all. */
  readonly where?: (input: Readonly<Record<string, unknown>>) => boolean;
}

/** What happens instead of the operation, or (`delay`) before it. */
export type Fault =
  | { readonly kind: "error"; readonly error: ServiceErrorName | Error }
  | { readonly kind: "dropped connection" }
  | { readonly kind: "html error"; readonly status: number }
  | { readonly kind: "delay"; readonly ms: number };

interface PlannedFault {
  readonly target: FaultTarget;
  readonly fault: Fault;
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
  readonly #planned = new Set<PlannedFault>();

  /** The call fails with an error: one of the service's by name, or any other as it is. */
  fail(target: FaultTarget & { readonly error: ServiceErrorName | Error }): () => void {
    // An unknown name is refused here, not at the call.
    if (typeof target.error === "string") serviceError(target.error);
    return this.#plan(target, { kind: "error", error: target.error });
  }

  /** The connection breaks instead of a reply; a `FakeKinesis` rejects with ECONNRESET. */
  drop(target: FaultTarget = {}): () => void {
    return this.#plan(target, { kind: "dropped connection" });
  }

  /** A load balancer's HTML page with a 5xx status; a `FakeKinesis` rejects with InternalFailure. */
  htmlError(target: FaultTarget & { readonly status?: number } = {}): () => void {
    const status = target.status ?? 503;
    if (!(status >= 500 && status < 600)) throw new RangeError(`status: a 5xx, not ${status}`);
    return this.#plan(target, { kind: "html error", status });
  }

  /** The call is carried out `ms` milliseconds of the clock later. */
  delay(target: FaultTarget & { readonly ms: number }): () => void {
    if (!(target.ms >= 0)) throw new RangeError(`ms: at least 0, not ${target.ms}`);
    return this.#plan(target, { kind: "delay", ms: target.ms });
  }

  /** Takes back everything that is planned. */
  clear(): void {
    this.#planned.clear();
  }

  /** Counts a call and returns what befalls it. */
  befalling(operation: OperationName, input: Readonly<Record<string, unknown>>): Fault[] {
    const faults: Fault[] = [];
    for (const planned of this.#planned) {
      const { target } = planned;
      if (target.operation !== undefined && target.operation !== operation) continue;
      if (target.where !== undefined && !target.where(input)) continue;
      planned.seen++;
      if (planned.seen >= planned.first) faults.push(planned.fault);
      if (planned.seen >= planned.last) this.#planned.delete(planned);
    }
    return faults;
  }

  #plan(target: FaultTarget, fault: Fault): () => void {
    const { call = 1, times = 1 } = target;
    if (!(Number.isInteger(call) && call >= 1)) throw new RangeError(`call: from 1, not ${call}`);
    if (!(times >= 1)) throw new RangeError(`times: at least 1, not ${times}`);
    const planned = { target, fault, first: call, last: call + times - 1, seen: 0 };
    this.#planned.add(planned);
    return () => void this.#planned.delete(planned);
  }
}
