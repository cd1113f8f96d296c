import type { ReadAccount } from "./read-account.ts";
import type { Page } from "./shard-reader.ts";
import type { ShardPoller } from "./shard-poller.ts";

/** How many pages wait for `next`, at most. */
const PAGES_AHEAD = 2;

/**
 * The pages of one shard between its poller and its delivery: while pages are handled, the next ones
 * are fetched. What waits here when the shard stops is dropped: it was never delivered, so nothing is
 * lost. The same goes for what waits when others need the memory: it is read again once `next` asks.
 */
export class ReadAhead {
  readonly #poller: ShardPoller;
  readonly #stop: AbortSignal;
  /** Aborts when nothing more is to be read. */
  readonly #closed = new AbortController();
  readonly #pages: Page[] = [];
  /** The last record of the page in hand; undefined = it has none, or `next` waits. */
  #inHand: string | undefined;
  #reading = false;
  /** Others needed the memory: nothing is read before `next` asks. */
  #held = false;
  /** Where reading begins again; what is under way is dropped. */
  #rewindTo: string | undefined;
  /** Nothing follows: the last page was read, retention removed the shard, or reading failed. */
  #over: "end" | "aged-out" | { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  readonly #onStop = (): void => this.close();

  constructor(options: {
    readonly poller: ShardPoller;
    readonly account: ReadAccount;
    /** Aborts when nothing more is to be delivered. */
    readonly stop: AbortSignal;
  }) {
    const { poller, account, stop } = options;
    this.#poller = poller;
    this.#stop = stop;
    account.onPressure = () => this.#giveUp();
    if (stop.aborted) this.close();
    stop.addEventListener("abort", this.#onStop, { once: true });
  }

  /** As `ShardReader.next`. */
  async next(): Promise<Page | undefined> {
    this.#held = false;
    this.#inHand = undefined;
    for (;;) {
      this.#stop.throwIfAborted();
      const page = this.#pages.shift();
      this.#inHand = page?.lastSequenceNumber;
      if (!this.#reading && this.#over === undefined) void this.#read();
      if (page !== undefined) return page;
      if (this.#over === "aged-out") return undefined;
      if (typeof this.#over === "object") throw this.#over.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The page that `next` would return now. */
  get first(): Page | undefined {
    return this.#pages[0];
  }

  /** Records of the pages that wait. */
  get records(): number {
    return this.#pages.reduce((sum, { records }) => sum + records.left, 0);
  }

  /** As `ShardReader.reopen`. */
  reopen(): void {
    this.#over = undefined;
    this.#poller.reopen();
  }

  /** Nothing more is read, and no page waits. Idempotent. */
  close(): void {
    this.#stop.removeEventListener("abort", this.#onStop);
    this.#closed.abort(this.#stop.reason);
    this.#drop();
    this.#wake();
  }

  async #read(): Promise<void> {
    const { signal } = this.#closed;
    this.#reading = true;
    try {
      while (this.#pages.length < PAGES_AHEAD && this.#over === undefined && !this.#held) {
        this.#rewind();
        const page = await this.#poller.next(signal);
        if (this.#rewindTo !== undefined) page?.memory.release();
        else if (page === undefined) this.#over = "aged-out";
        else {
          this.#pages.push(page);
          if (page.end) this.#over = "end";
        }
        if (signal.aborted) this.#drop();
        this.#wake();
      }
    } catch (error) {
      this.#over = { error };
    }
    this.#reading = false;
    this.#wake();
  }

  #rewind(): void {
    if (this.#rewindTo === undefined) return;
    this.#poller.rewind(this.#rewindTo);
    this.#rewindTo = undefined;
  }

  /** Others need the memory. What cannot be read again is kept. */
  #giveUp(): void {
    if (this.#held || this.#inHand === undefined) return;
    if (this.#over !== undefined && this.#over !== "end") return;
    if (this.#pages.length === 0 && !this.#reading) return;
    this.#held = true;
    this.#over = undefined;
    this.#rewindTo = this.#inHand;
    this.#drop();
  }

  #drop(): void {
    for (const page of this.#pages.splice(0)) page.memory.release();
  }
}
