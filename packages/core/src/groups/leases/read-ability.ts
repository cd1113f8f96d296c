import type { GroupHost } from "../group.ts";

/** How long a listing may take before this worker counts as cut off, in milliseconds. */
const LISTING_MS = 10_000;

interface Listing {
  readonly since: number;
  answered: boolean;
  readonly cancel: () => void;
}

/**
 * Whether this worker can read what it holds. It cannot
 * - if none of its shards has had a reply for `yieldAfterMs`, and a listing of the stream is not
 *   answered either: Kinesis that answers others with the same errors would not be read by them;
 * - if a shard has waited so long for a handler of this process that had it before and never returned.
 */
export class ReadAbility {
  readonly #host: GroupHost;
  readonly #yieldAfterMs: number;
  #listing: Listing | undefined;

  constructor(host: GroupHost, yieldAfterMs: number) {
    this.#host = host;
    this.#yieldAfterMs = yieldAfterMs;
  }

  /** Why it cannot; undefined = it can, or it is not certain yet. */
  lacking(): string | undefined {
    const { unreadForMs, waitingForMs } = this.#host.blockage();
    if (waitingForMs >= this.#yieldAfterMs) {
      return "a shard waits for a handler of this process that had it before and does not return";
    }
    if (unreadForMs < this.#yieldAfterMs) this.stop();
    else if (this.#isCutOff()) return "Kinesis cannot be reached from here";
    return undefined;
  }

  /** Ends the listing that is under way. */
  stop(): void {
    this.#listing?.cancel();
    this.#listing = undefined;
  }

  #isCutOff(): boolean {
    const { clock } = this.#host;
    const listing = this.#listing;
    if (listing === undefined) this.#list();
    else if (clock.monotonic() - listing.since >= LISTING_MS) {
      if (!listing.answered) return true;
      if (clock.monotonic() - listing.since >= this.#yieldAfterMs) this.stop();
    }
    return false;
  }

  #list(): void {
    const controller = new AbortController();
    const listing: Listing = {
      since: this.#host.clock.monotonic(),
      answered: false,
      cancel: () => controller.abort(),
    };
    this.#listing = listing;
    // An error that a retry does not mend is an answer: the scan fails by it elsewhere.
    const onAnswer = (): void => void (listing.answered = true);
    this.#host.listShards(controller.signal).then(onAnswer, onAnswer);
  }
}
