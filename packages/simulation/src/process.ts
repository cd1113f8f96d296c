import type { Clock } from "@kc/core";
import type { FakeClock } from "@kc/emulator";

/**
 * What a process is to the rest of the world: whatever comes in (a timer, a reply, a turn of the
 * event loop) passes its gate. Running → (freeze) nothing passes, all waits → (thaw) running; or →
 * (kill) nothing ever passes again.
 */
export class Process implements Clock {
  readonly #world: FakeClock;
  /** How much faster its clocks go, and where its wall clock stands. */
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

  /** Since when it has run without a break, by the world's clock; Infinity = it does not run. */
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

  /** Now, after the thaw, or never. */
  pass(enter: () => void): void {
    if (this.#state === "running") enter();
    else if (this.#state === "frozen") this.#waiting.push(enter);
  }

  /** A reply from outside. */
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
   * Somebody sets this machine's clock. It is never ahead of the service's: the simulated client
   * brings no Date header, so that a worker's own clock decides when the application began.
   */
  jumpWall(ms: number): void {
    this.#skewMs = Math.min(0, this.#skewMs + ms);
  }
}
