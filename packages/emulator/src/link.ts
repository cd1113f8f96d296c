import type { Call } from "./call-log.ts";
import type { Clock } from "./clock.ts";
import { Faults } from "./faults.ts";
import { Pipe } from "./pipe.ts";
import { never, wait } from "./waiting.ts";

/** A longer timer than this does not exist: 2³¹−1 ms. */
const MAX_LATENCY_MS = 2 ** 31 - 1;

/** What lies between a client and the service. */
export interface LinkOptions {
  /**
   * How long a call takes, in milliseconds, or a function of the call that says so: half of it
   * before the operation is carried out, half after. @default 0
   */
  readonly latency?: number | ((call: Call) => number);
  /**
   * Bytes a second that replies bring, all those under way together. A `FakeKinesis` counts data
   * and partition keys of records, the server counts bodies. @default no limit
   */
  readonly bandwidth?: number;
  /** In [0, 1): decides faults with a `chance`. @default Math.random */
  readonly random?: () => number;
}

/** One client's way to the service: how long its calls take, and what befalls them. */
export class Link {
  readonly faults: Faults;
  /** Bytes a second; `undefined` without a limit. */
  readonly bandwidth: number | undefined;
  readonly #clock: Clock;
  #latency: (call: Call) => number;
  readonly #pipe: Pipe | undefined;

  /** Throws RangeError for an option that makes no sense. */
  constructor(clock: Clock, options: LinkOptions) {
    const { latency = 0, bandwidth, random = Math.random } = options;
    if (bandwidth !== undefined && !(bandwidth > 0 && Number.isFinite(bandwidth))) {
      throw new RangeError(`bandwidth: bytes a second, above 0, not ${bandwidth}`);
    }
    if (typeof random !== "function") throw new RangeError("random: a function");
    this.faults = new Faults(clock, random);
    this.bandwidth = bandwidth;
    this.#clock = clock;
    this.#latency = asFunction(latency);
    this.#pipe = bandwidth === undefined ? undefined : new Pipe(clock, bandwidth);
  }

  /** Changes the latency of the calls that begin from now on. Throws RangeError. */
  setLatency(latency: NonNullable<LinkOptions["latency"]>): void {
    this.#latency = asFunction(latency);
  }

  /** The latency of one way of this call, in milliseconds. */
  oneWayOf(call: Call): number {
    return checkLatency(this.#latency(call)) / 2;
  }

  /**
   * The call, or its reply, is on its way for so long. It never arrives if the link was black-holed
   * meanwhile. Rejects with the signal's reason.
   */
  async travel(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const since = this.#clock.monotonic();
    if (ms > 0) await wait(this.#clock, ms, signal);
    if (this.faults.blackHoledSince(since)) await never(signal);
  }

  /** So many bytes of a reply pass. */
  async transfer(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#pipe === undefined || bytes === 0) return;
    const since = this.#clock.monotonic();
    await this.#pipe.pass(bytes, signal);
    if (this.faults.blackHoledSince(since)) await never(signal);
  }
}

function asFunction(latency: NonNullable<LinkOptions["latency"]>): (call: Call) => number {
  if (typeof latency === "function") return latency;
  checkLatency(latency);
  return () => latency;
}

function checkLatency(ms: number): number {
  if (ms >= 0 && ms <= MAX_LATENCY_MS) return ms;
  throw new RangeError(`latency: milliseconds from 0 to ${MAX_LATENCY_MS}, not ${ms}`);
}
