const MIB = 1024 * 1024;

/** The largest reply. */
export const MAX_PAGE_BYTES = 10 * MIB;
/** What is reserved for a shard whose last page was empty. */
const LEAST_RESERVED_BYTES = 64 * 1024;

/** Memory for one page: estimated while its call is under way, known once it is here. */
export interface Reservation {
  /** The page is here, and this is what it holds. */
  hold(bytes: number): void;
  /** The page was handled, or never came. Idempotent. */
  release(): void;
}

/** What one shard has of the budget. It owns its reservations: closing it releases them all. */
export class ReadAccount {
  /** Bytes of its pages, and of those that are on their way. */
  held = 0;
  readonly #reservations = new Set<Reservation>();
  #closed = false;

  /** Takes charge of a reservation. */
  add(reservation: Reservation): void {
    this.#reservations.add(reservation);
    if (this.#closed) reservation.release();
  }

  remove(reservation: Reservation): void {
    this.#reservations.delete(reservation);
  }

  /** Nothing of the shard is in memory any more. */
  close(): void {
    this.#closed = true;
    for (const reservation of this.#reservations) reservation.release();
  }
}

interface Request {
  readonly account: ReadAccount;
  readonly bytes: number;
  readonly grant: (reservation: Reservation) => void;
}

/**
 * The memory that pages may take up, over all shards of a scan: those being handled, those read
 * ahead, and those on their way.
 *
 * A shard that holds nothing goes before shards that read ahead, and one page at a time passes even
 * if there is no room: handlers that are stuck hold up their own shards, and not the rest. Reading
 * ahead takes a shard no further than an even part of the whole.
 */
export class ReadBudget {
  readonly #maxBytes: number;
  readonly #waiting: Request[] = [];
  #used = 0;
  #holders = 0;
  /** A page was let through although there was no room for it. */
  #exceeded = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of pages in memory and on their way. */
  get used(): number {
    return this.#used;
  }

  /**
   * Waits until there is room for a page of a shard.
   * @param recentBytes what the shard's last page held; undefined = none was read yet
   * @throws the signal's reason
   */
  async reserve(
    account: ReadAccount,
    recentBytes: number | undefined,
    signal: AbortSignal,
  ): Promise<Reservation> {
    signal.throwIfAborted();
    const bytes =
      recentBytes === undefined
        ? MAX_PAGE_BYTES
        : Math.min(MAX_PAGE_BYTES, Math.max(2 * recentBytes, LEAST_RESERVED_BYTES));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(request), 1);
        reject(signal.reason);
        this.#grant();
      };
      const request: Request = {
        account,
        bytes,
        grant: (reservation) => {
          signal.removeEventListener("abort", onAbort);
          resolve(reservation);
        },
      };
      this.#waiting.push(request);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#grant();
    });
  }

  /** Lets through whoever may go now, in the order of asking. */
  #grant(): void {
    if (this.#waiting.length === 0) return;
    let someoneHasNothing = false;
    for (const request of this.#waiting.slice()) {
      if (request.account.held > 0) continue;
      if (this.#fits(request.bytes)) this.#admit(request, false);
      else if (!this.#exceeded) this.#admit(request, true);
      else someoneHasNothing = true;
    }
    if (someoneHasNothing) return;
    for (const request of this.#waiting.slice()) {
      const { account, bytes } = request;
      const evenPart = this.#maxBytes / Math.max(1, this.#holders);
      if (this.#fits(bytes) && account.held + bytes <= evenPart) this.#admit(request, false);
    }
  }

  #fits(bytes: number): boolean {
    return this.#used + bytes <= this.#maxBytes;
  }

  #admit(request: Request, exceeds: boolean): void {
    const { account, grant } = request;
    this.#waiting.splice(this.#waiting.indexOf(request), 1);
    if (exceeds) this.#exceeded = true;
    let bytes = 0;
    const hold = (now: number): void => {
      const before = account.held;
      this.#used += now - bytes;
      account.held += now - bytes;
      bytes = now;
      if (before === 0 && account.held > 0) this.#holders += 1;
      if (before > 0 && account.held === 0) this.#holders -= 1;
    };
    hold(request.bytes);
    let released = false;
    const reservation: Reservation = {
      hold: (actual) => {
        if (released) return;
        // Even an empty page is one, until it was handled.
        hold(Math.max(1, actual));
        this.#grant();
      },
      release: () => {
        if (released) return;
        released = true;
        account.remove(reservation);
        hold(0);
        if (exceeds) this.#exceeded = false;
        this.#grant();
      },
    };
    account.add(reservation);
    grant(reservation);
  }
}
