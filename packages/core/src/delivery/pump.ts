import type { DeliveredShard } from "./delivery.ts";
import type { StartGate } from "./start-gate.ts";

export interface PumpWork {
  /** Starts everything that may start now. It must call `mayPass` before each start. */
  readonly start: () => void;
  /** Called after each run of `start`, when nothing more can start for now. */
  readonly rest: () => void;
}

/**
 * The dispatch loop of a delivery: starts work whenever something that it waited for has happened, and
 * never re-entrantly from within a start. While the gate is closed nothing starts; the pump continues by
 * itself when the gate opens. After a stop nothing starts, whatever answers arrive late.
 */
export class Pump {
  readonly #shard: DeliveredShard;
  readonly #gate: StartGate;
  readonly #work: PumpWork;
  /** True if the gate must read the clock: something was awaited since it was asked last. */
  #checkClock = true;
  #isPumping = false;
  #isGated = false;
  /** True if finished work must be written to the store before another record starts. */
  #unwritten = false;
  #isClosed = false;
  #wake: () => void = () => {};
  readonly #onStop = (): void => this.close();

  constructor(shard: DeliveredShard, gate: StartGate, work: PumpWork) {
    this.#shard = shard;
    this.#gate = gate;
    this.#work = work;
    shard.stop.addEventListener("abort", this.#onStop, { once: true });
  }

  /** True if nothing starts any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on nothing starts. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#shard.stop.removeEventListener("abort", this.#onStop);
    this.#wake();
  }

  /** Something that was awaited has happened. */
  resume(): void {
    this.#checkClock = true;
    this.#run();
  }

  /** The gate must read the clock before the next start: the last call may have taken long. */
  checkClock(): void {
    this.#checkClock = true;
  }

  /** A record is finished. @param writeThrough whether it must be stored before another start */
  finished(writeThrough: boolean): void {
    this.#unwritten = writeThrough;
  }

  /** Returns false if the gate is closed. The pump runs again when it opens. */
  mayPass(): boolean {
    const isUnwritten = this.#unwritten;
    const wait = isUnwritten ? this.#gate.untilWritten() : this.#gate.ask(this.#checkClock);
    this.#unwritten = false;
    // The lease may have ended while the store was awaited.
    this.#checkClock = isUnwritten;
    if (wait === undefined) return true;
    this.#isGated = true;
    wait
      .finally(() => (this.#isGated = false))
      .then(
        () => this.#run(),
        (error: unknown) => this.#shard.fail(error),
      );
    return false;
  }

  /** Resolves when the condition holds or the shard stops. The condition is checked at each `wake`. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#shard.stop.aborted) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  wake(): void {
    this.#wake();
  }

  #run(): void {
    if (this.#isClosed || this.#isPumping || this.#isGated) return;
    this.#isPumping = true;
    try {
      this.#work.start();
    } catch (error) {
      // The caller may be a timer or a handler's promise, which cannot handle the error.
      this.#isClosed = true;
      this.#shard.fail(error);
    } finally {
      this.#isPumping = false;
    }
    this.#work.rest();
  }
}
