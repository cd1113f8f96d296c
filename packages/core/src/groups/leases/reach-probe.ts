import type { GroupHost } from "../group.ts";

/** How long a listing may take before Kinesis counts as out of reach, in milliseconds. */
const LISTING_MS = 10_000;

interface Listing {
  readonly since: number;
  answered: boolean;
  readonly cancel: () => void;
}

/** A listing of the stream that shows whether Kinesis answers this worker. One is under way at a time. */
export class ReachProbe {
  readonly #host: GroupHost;
  #listing: Listing | undefined;

  constructor(host: GroupHost) {
    this.#host = host;
  }

  /** How long ago it began, in milliseconds; undefined = none has begun. */
  get ageMs(): number | undefined {
    return this.#listing && this.#host.clock.monotonic() - this.#listing.since;
  }

  /** Was it answered, with an error or without? Whoever cannot reach Kinesis gets no answer at all. */
  get isAnswered(): boolean {
    return this.#listing?.answered ?? false;
  }

  /** Is its time over, with an answer or without? */
  get isOver(): boolean {
    return (this.ageMs ?? 0) >= LISTING_MS;
  }

  /** Begins a new listing in place of the one before. */
  begin(): void {
    this.stop();
    const controller = new AbortController();
    const listing: Listing = {
      since: this.#host.clock.monotonic(),
      answered: false,
      cancel: () => controller.abort(),
    };
    this.#listing = listing;
    // An error that a retry does not fix is an answer: the scan fails by it elsewhere.
    const onAnswer = (): void => void (listing.answered = true);
    this.#host.listShards(controller.signal).then(onAnswer, onAnswer);
  }

  /** Ends the listing, and forgets what came of it. */
  stop(): void {
    this.#listing?.cancel();
    this.#listing = undefined;
  }
}
