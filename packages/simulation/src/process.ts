import type { Clock } from "@kc/core";
import type { FakeClock } from "@kc/emulator";

/**
 * A process, as the rest of the simulation sees it: everything that reaches it (a timer, a reply, a
 * turn of the event loop) passes its gate. Running → (freeze) nothing passes, all waits → (thaw)
 * running; or → (kill) nothing ever passes again.
 */
export class Process implements Clock {
  readonly #world: FakeClock;
  /** The rate of its clocks, and the offset of its wall clock. */
  readonly #rate: number;
  #skewMs: number;
  #state: "running" | "frozen" | "dead" = "running";
  #waiting: (() => void)[] = [];
  #runningSince: number;

  constructor(world: FakeClock, options: { readonly rate: number; readonly skewMs: number }) {
    this.#world = world;
    this.#rate = options.rate;
    this.#skewMs = options.skewMs;
    this.#runningSince = world.monotonic();
  }

  get state(): "running" | "frozen" | "dead" {
    return this.#state;
  }

  /** Since when it has run without a pause, by the global clock; Infinity if it is not running. */
  get runningSince(): number {
    return this.#state === "running" ? this.#runningSince : Infinity;
  }

  freeze(): void {
    if (this.#state === "running") this.#state = "frozen";
  }

  thaw(): void {
    if (this.#state !== "frozen") return;
    this.#state = "running";
    this.#runningSince = this.#world.monotonic();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pass of waiting) pass();
  }

  kill(): void {
    this.#state = "dead";
    this.#waiting = [];
  }

  /** Calls `enter` now, after the thaw, or never. */
  pass(enter: () => void): void {
    if (this.#state === "running") enter();
    else if (this.#state === "frozen") this.#waiting.push(enter);
  }

  /** Passes a reply from outside through the gate. */
  through<T>(reply: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      reply.then(
        (value) => this.pass(() => resolve(value)),
        (error: unknown) => this.pass(() => reject(error)),
      );
    });
  }

  now(): number {
    return this.#world.now() + this.#skewMs;
  }

  monotonic(): number {
    return this.#world.monotonic() * this.#rate;
  }

  setTimer(callback: () => void, ms: number): () => void {
    let over = false;
    const cancel = this.#world.setTimer(
      () => this.pass(() => void (over || callback())),
      ms / this.#rate,
    );
    return () => {
      over = true;
      cancel();
    };
  }

  yield(): Promise<void> {
    return this.through(this.#world.yield());
  }

  /**
   * Changes this machine's clock. It is never ahead of the service's: the simulated client returns
   * no Date header, so a worker's own clock decides when the application began.
   */
  jumpWall(ms: number): void {
    this.#skewMs = Math.min(0, this.#skewMs + ms);
  }
}
