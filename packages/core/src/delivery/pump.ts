import type { DeliveredShard } from "./delivery.ts";
import type { StartGate } from "./start-gate.ts";

export interface PumpWork {
  /** Starts what may start now. It asks `isLetThrough` before each start. */
  readonly start: () => void;
  /** Nothing more starts for now. */
  readonly rest: () => void;
}

/**
 * Starts work whenever something that it waited for is there, and never from within a start. The gate
 * holds it back, and goes on by itself. Nothing starts after a stop, whatever comes late.
 */
export class Pump {
  readonly #shard: DeliveredShard;
  readonly #gate: StartGate;
  readonly #work: PumpWork;
  /** Something was awaited since the gate was asked last. */
  #look = true;
  #isPumping = false;
  #isGated = false;
  /** Something is finished that the store has to know before another record starts. */
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

  /** Nothing starts any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing starts from now on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#shard.stop.removeEventListener("abort", this.#onStop);
    this.#wake();
  }

  /** Something that was awaited is there. */
  resume(): void {
    this.#look = true;
    this.#run();
  }

  /** The gate is to look at the clock before the next start: a handler took its time. */
  look(): void {
    this.#look = true;
  }

  /** Something is finished. @param writeThrough the store has to know before another start */
  finished(writeThrough: boolean): void {
    this.#unwritten = writeThrough;
  }

  /** False = the gate holds back what may start. */
  isLetThrough(): boolean {
    const isUnwritten = this.#unwritten;
    const wait = isUnwritten ? this.#gate.untilWritten() : this.#gate.ask(this.#look);
    this.#unwritten = false;
    // The lease may end while the store is awaited.
    this.#look = isUnwritten;
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

  /** Waits until this is so, or the shard stops. It is asked at each `wake`. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.#shard.stop.aborted) {
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
      // Whoever has called is no reader.
      this.#isClosed = true;
      this.#shard.fail(error);
    } finally {
      this.#isPumping = false;
    }
    this.#work.rest();
  }
}
