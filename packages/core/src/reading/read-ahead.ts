import type { ReadAccount } from "./read-account.ts";
import type { Page } from "./shard-reader.ts";
import type { ShardPoller } from "./shard-poller.ts";

/** The maximum number of buffered pages. */
const MAX_PAGES = 2;

/**
 * Buffers the pages of one shard between its poller and its delivery: while a page is handled, the next ones
 * are fetched. When the shard stops, the buffered pages are dropped: they were never delivered, so nothing is
 * lost. They are also dropped when other shards need the memory, and read again when `next` is called.
 */
export class ReadAhead {
  readonly #poller: ShardPoller;
  readonly #stop: AbortSignal;
  /** Aborts when nothing more must be read. */
  readonly #closed = new AbortController();
  readonly #pages: Page[] = [];
  /** The last record of the page in delivery; `undefined` if it has none, or `next` waits. */
  #deliveredThrough: string | undefined;
  #reading = false;
  /** Other shards needed the memory: nothing is read until `next` is called. */
  #paused = false;
  /** Reading restarts after this record. The page in flight is dropped. */
  #rewindTo: string | undefined;
  /** Set when no page follows: the last page was read, retention removed the shard, or reading failed. */
  #ended: "end" | "aged-out" | { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  readonly #onStop = (): void => this.close();

  constructor(options: {
    readonly poller: ShardPoller;
    readonly account: ReadAccount;
    /** Aborts when nothing more must be delivered. */
    readonly stop: AbortSignal;
  }) {
    const { poller, account, stop } = options;
    this.#poller = poller;
    this.#stop = stop;
    account.onPressure = () => this.#freeMemory();
    if (stop.aborted) this.close();
    stop.addEventListener("abort", this.#onStop, { once: true });
  }

  /** As `ShardReader.next`. */
  async next(): Promise<Page | undefined> {
    this.#paused = false;
    this.#deliveredThrough = undefined;
    for (;;) {
      this.#stop.throwIfAborted();
      const page = this.#pages.shift();
      this.#deliveredThrough = page?.lastSequenceNumber;
      if (!this.#reading && this.#ended === undefined) void this.#read();
      if (page !== undefined) return page;
      if (this.#ended === "aged-out") return undefined;
      if (typeof this.#ended === "object") throw this.#ended.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The page that `next` would return now. */
  get first(): Page | undefined {
    return this.#pages[0];
  }

  /** The number of records in the buffered pages. */
  get records(): number {
    return this.#pages.reduce((sum, { records }) => sum + records.left, 0);
  }

  /** As `ShardReader.reopen`. */
  reopen(): void {
    this.#ended = undefined;
    this.#poller.reopen();
  }

  /** Stops reading, and drops the buffered pages. Idempotent. */
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
      while (this.#pages.length < MAX_PAGES && this.#ended === undefined && !this.#paused) {
        this.#rewind();
        const page = await this.#poller.next(signal);
        if (this.#rewindTo !== undefined) page?.memory.release();
        else if (page === undefined) this.#ended = "aged-out";
        else {
          this.#pages.push(page);
          if (page.end) this.#ended = "end";
        }
        if (signal.aborted) this.#drop();
        this.#wake();
      }
    } catch (error) {
      this.#ended = { error };
    }
    this.#reading = false;
    this.#wake();
  }

  #rewind(): void {
    if (this.#rewindTo === undefined) return;
    this.#poller.rewind(this.#rewindTo);
    this.#rewindTo = undefined;
  }

  /** Called when other shards need the memory. Keeps pages that cannot be read again. */
  #freeMemory(): void {
    if (this.#paused || this.#deliveredThrough === undefined) return;
    if (this.#ended !== undefined && this.#ended !== "end") return;
    if (this.#pages.length === 0 && !this.#reading) return;
    this.#paused = true;
    this.#ended = undefined;
    this.#rewindTo = this.#deliveredThrough;
    this.#drop();
  }

  #drop(): void {
    for (const page of this.#pages.splice(0)) page.memory.release();
  }
}
