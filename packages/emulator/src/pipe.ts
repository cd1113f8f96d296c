import type { Clock } from "./clock.ts";

/** A rest of less than this many bytes is a rounding error. */
const ROUNDING = 0.5;

interface Transfer {
  /** Bytes. */
  left: number;
  readonly end: () => void;
}

/** A bandwidth limit in bytes per second, shared evenly by concurrent transfers. */
export class Pipe {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #transfers = new Set<Transfer>();
  #at = 0;
  #cancelTimer: () => void = () => {};

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Resolves when `bytes` bytes have passed; rejects with the signal's reason if it aborts first. */
  pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const leave = (): void => {
        signal?.removeEventListener("abort", abort);
        this.#transfers.delete(transfer);
      };
      const abort = (): void => {
        this.#advance();
        leave();
        this.#arm();
        reject(signal?.reason);
      };
      const transfer = {
        left: bytes,
        end: () => {
          leave();
          resolve();
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#advance();
      this.#transfers.add(transfer);
      this.#arm();
    });
  }

  /** Subtracts from each transfer what has passed since the last change. */
  #advance(): void {
    const now = this.#clock.monotonic();
    const each = ((now - this.#at) * this.#bytesPerMs) / this.#transfers.size;
    for (const transfer of this.#transfers) transfer.left -= each;
    this.#at = now;
  }

  /** Sets the timer for the transfer that ends first. */
  #arm(): void {
    this.#cancelTimer();
    if (this.#transfers.size === 0) return;
    let least = Infinity;
    for (const { left } of this.#transfers) least = Math.min(least, left);
    const ms = (Math.max(0, least) * this.#transfers.size) / this.#bytesPerMs;
    this.#cancelTimer = this.#clock.setTimer(() => {
      this.#advance();
      for (const transfer of this.#transfers) if (transfer.left <= ROUNDING) transfer.end();
      this.#arm();
    }, ms);
  }
}
