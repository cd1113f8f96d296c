import type { Page, PollingReader } from "./polling-reader.ts";
import type { ReadAccount } from "./read-account.ts";

/** How far a shard is read ahead of the page in hand. */
const PAGES_AHEAD = 2;

/**
 * The pages of one shard between its reader and its dispatcher: while one is handled, the next are
 * fetched. What was fetched and not begun when the scan stops is dropped; it was never delivered,
 * so nothing is lost. The same goes for what was fetched when others need the memory: it is read
 * again when the page in hand was handled.
 */
export class PageQueue {
  readonly #reader: PollingReader;
  readonly #stop: AbortSignal;
  /** Aborts when nothing more is to be read. */
  readonly #closed = new AbortController();
  readonly #pages: Page[] = [];
  #inHand: Page | undefined;
  #reading = false;
  /** Others needed the memory: nothing is read before the page in hand was handled. */
  #held = false;
  /** Where reading begins again, what is under way now left out. */
  #rewindTo: string | undefined;
  /** Nothing follows: the last page was read, retention took the shard, or reading failed. */
  #over: "end" | "aged-out" | { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  readonly #onStop = (): void => this.#discard();

  constructor(options: {
    readonly reader: PollingReader;
    readonly account: ReadAccount;
    /** Aborts when nothing more is to be delivered. */
    readonly stop: AbortSignal;
  }) {
    const { reader, account, stop } = options;
    this.#reader = reader;
    this.#stop = stop;
    account.onPressure = () => this.#giveUpAhead();
    if (stop.aborted) this.#discard();
    stop.addEventListener("abort", this.#onStop, { once: true });
  }

  /**
   * The next page; the one before was handled. Undefined when retention has taken the shard off the
   * stream. An error comes after the pages that were read before it. @throws stop's reason, KcError
   */
  async next(): Promise<Page | undefined> {
    this.#inHand?.memory.release();
    this.#inHand = undefined;
    this.#held = false;
    for (;;) {
      this.#stop.throwIfAborted();
      this.#inHand = this.#pages.shift();
      this.#inHand?.memory.taken();
      this.#readAhead();
      if (this.#inHand !== undefined) return this.#inHand;
      if (this.#over === "aged-out") return undefined;
      if (typeof this.#over === "object") throw this.#over.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The page in hand, or else the next one: what is behind it is not handled yet. */
  get oldest(): Page | undefined {
    return this.#inHand ?? this.#pages[0];
  }

  /** Records of the pages behind the one in hand. */
  get recordsAhead(): number {
    return this.#pages.reduce((sum, { records }) => sum + records.length, 0);
  }

  /** What looked like the shard's end was none: read on where it stopped. */
  reopen(): void {
    this.#over = undefined;
    this.#reader.reopen();
  }

  /** Nothing more is read, and no page is in hand. Idempotent. */
  close(): void {
    this.#stop.removeEventListener("abort", this.#onStop);
    this.#discard();
    this.#inHand?.memory.release();
    this.#inHand = undefined;
  }

  #readAhead(): void {
    if (!this.#reading && this.#over === undefined) void this.#read();
  }

  async #read(): Promise<void> {
    const { signal } = this.#closed;
    this.#reading = true;
    try {
      while (this.#pages.length < PAGES_AHEAD && this.#over === undefined && !this.#held) {
        this.#rewind();
        const page = await this.#reader.next(signal);
        if (this.#rewindTo !== undefined) page?.memory.release();
        else if (page === undefined) this.#over = "aged-out";
        else {
          this.#pages.push(page);
          if (page.end) this.#over = "end";
        }
        if (signal.aborted) this.#discard();
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
    this.#reader.rewind(this.#rewindTo);
    this.#rewindTo = undefined;
  }

  /** What cannot be read again is kept. */
  #giveUpAhead(): void {
    const records = this.#inHand?.records;
    if (this.#held || records === undefined || records.length === 0) return;
    if (this.#over !== undefined && this.#over !== "end") return;
    if (this.#pages.length === 0 && !this.#reading) return;
    this.#held = true;
    this.#over = undefined;
    this.#rewindTo = records.sequenceNumber(records.length - 1);
    this.#drop();
  }

  /** The page in hand stays: a handler may still be at it. */
  #discard(): void {
    this.#closed.abort(this.#stop.reason);
    this.#drop();
    this.#wake();
  }

  #drop(): void {
    for (const page of this.#pages.splice(0)) page.memory.release();
  }
}
