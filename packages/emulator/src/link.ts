import type { Call } from "./call-log.ts";
import type { Clock } from "./clock.ts";
import { Faults } from "./faults.ts";
import { Pipe } from "./pipe.ts";
import { never, wait } from "./waiting.ts";

/** Maximum delay of a Node timer. */
const MAX_LATENCY_MS = 2 ** 31 - 1;

/** The network between a client and the service. */
export interface LinkOptions {
  /**
   * Latency of a call in milliseconds, or a function that returns it: half of it passes before the operation is carried
   * out, half after. @default 0
   */
  readonly latency?: number | ((call: Call) => number);
  /**
   * Bandwidth in bytes per second, shared by all replies in transfer. A `FakeKinesis` counts data and partition keys of
   * records, the server counts bodies. @default no limit
   */
  readonly bandwidth?: number;
  /** Returns numbers in [0, 1), to decide faults with a `chance`. @default Math.random */
  readonly random?: () => number;
}

/** The link of one client to the service: its latency, bandwidth and faults. */
export class Link {
  readonly faults: Faults;
  /** Bytes per second; undefined = no limit. */
  readonly bandwidth: number | undefined;
  readonly #clock: Clock;
  #latency: (call: Call) => number;
  readonly #pipe: Pipe | undefined;

  /** @throws RangeError for a wrong option */
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

  /** Changes the latency of calls that begin from now on. @throws RangeError */
  setLatency(latency: NonNullable<LinkOptions["latency"]>): void {
    this.#latency = asFunction(latency);
  }

  /** The one-way latency of this call, in milliseconds. */
  oneWayOf(call: Call): number {
    return checkLatency(this.#latency(call)) / 2;
  }

  /**
   * Waits `ms` milliseconds, for a call or its reply in transit. Never resolves if there was a black hole in that time.
   * Rejects with the signal's reason.
   */
  async travel(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const since = this.#clock.monotonic();
    if (ms > 0) await wait(this.#clock, ms, signal);
    if (this.faults.blackHoledSince(since)) await never(signal);
  }

  /** Waits while `bytes` bytes of a reply are transferred. */
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
