/** A timer, pending or removed. */
export interface Timer {
  readonly due: number;
  /** Order of creation, which decides between timers due at the same time. */
  readonly order: number;
  readonly callback: () => void;
  /** The index in the heap; -1 if removed. */
  place: number;
}

/** Timers by due time: a binary heap in which each timer knows its index, so that any can be removed. */
export class TimerHeap {
  readonly #timers: Timer[] = [];
  #order = 0;

  get size(): number {
    return this.#timers.length;
  }

  /** The timer that is due first. */
  get first(): Timer | undefined {
    return this.#timers[0];
  }

  add(due: number, callback: () => void): Timer {
    const timer = { due, order: this.#order++, callback, place: this.#timers.length };
    this.#timers.push(timer);
    this.#up(timer);
    return timer;
  }

  /** Removes a timer. Idempotent. */
  remove(timer: Timer): void {
    if (timer.place === -1) return;
    const last = this.#timers.pop()!;
    if (last !== timer) {
      this.#put(last, timer.place);
      this.#up(last);
      this.#down(last);
    }
    timer.place = -1;
  }

  #up(timer: Timer): void {
    while (timer.place > 0) {
      const parent = this.#timers[(timer.place - 1) >> 1]!;
      if (isBefore(parent, timer)) return;
      this.#swap(parent, timer);
    }
  }

  #down(timer: Timer): void {
    for (;;) {
      const left = this.#timers[2 * timer.place + 1];
      const right = this.#timers[2 * timer.place + 2];
      const child = left && right && isBefore(right, left) ? right : left;
      if (child === undefined || isBefore(timer, child)) return;
      this.#swap(timer, child);
    }
  }

  #swap(one: Timer, other: Timer): void {
    const place = one.place;
    this.#put(one, other.place);
    this.#put(other, place);
  }

  #put(timer: Timer, place: number): void {
    this.#timers[place] = timer;
    timer.place = place;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}
