import type { Cost } from "../rounds.ts";

/**
 * The CPU used between two records of a consumer. It reads ahead, so about as many pages are in
 * progress at both.
 */
export class Span {
  readonly #first: number;
  readonly #last: number;
  readonly #begin: () => void;
  #count = 0;
  #start: NodeJS.CpuUsage | undefined;
  #cpuMicros = 0;

  constructor(
    total: number,
    { after, before }: { readonly after: number; readonly before: number },
    begin: () => void,
  ) {
    this.#first = after;
    this.#last = total - before;
    this.#begin = begin;
    if (after === 0) this.#started();
  }

  /** Counts a record, and returns the total. */
  count(): number {
    this.#count += 1;
    if (this.#count === this.#first) this.#started();
    if (this.#count === this.#last) this.#ended();
    return this.#count;
  }

  cost(): Cost {
    return { records: this.#last - this.#first, cpuMicros: this.#cpuMicros };
  }

  #started(): void {
    this.#begin();
    this.#start = process.cpuUsage();
  }

  #ended(): void {
    const { user, system } = process.cpuUsage(this.#start);
    this.#cpuMicros = user + system;
  }
}
