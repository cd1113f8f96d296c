import type { GroupHost } from "../group.ts";

/** Timeout of a listing, after which Kinesis counts as unreachable, in milliseconds. */
const TIMEOUT_MS = 10_000;

interface Listing {
  readonly since: number;
  answered: boolean;
  readonly cancel: () => void;
}

/** Lists the stream's shards to see whether Kinesis answers this worker. Runs one listing at a time. */
export class ReachProbe {
  readonly #host: GroupHost;
  #listing: Listing | undefined;

  constructor(host: GroupHost) {
    this.#host = host;
  }

  /** Milliseconds since the listing began; undefined = none has begun. */
  get ageMs(): number | undefined {
    return this.#listing && this.#host.clock.monotonic() - this.#listing.since;
  }

  /** True if the listing was answered, even by an error: a worker that cannot reach Kinesis gets no answer at all. */
  get isAnswered(): boolean {
    return this.#listing?.answered ?? false;
  }

  /** True if the timeout has passed, with an answer or without. */
  get isTimedOut(): boolean {
    return (this.ageMs ?? 0) >= TIMEOUT_MS;
  }

  /** Begins a new listing, and cancels the previous one. */
  begin(): void {
    this.stop();
    const controller = new AbortController();
    const listing: Listing = {
      since: this.#host.clock.monotonic(),
      answered: false,
      cancel: () => controller.abort(),
    };
    this.#listing = listing;
    // An error that retries cannot fix is an answer too: elsewhere, it fails the scan.
    const onAnswer = (): void => void (listing.answered = true);
    this.#host.listShards(controller.signal).then(onAnswer, onAnswer);
  }

  /** Cancels the listing, and forgets its result. */
  stop(): void {
    this.#listing?.cancel();
    this.#listing = undefined;
  }
}
