import type { Clock } from "../clock.ts";

/** Owns the memory, and grants it to accounts. */
export interface Lender {
  /** Queues a demand until there is room. */
  ask(demand: Demand): void;
  /** Drops a queued demand. */
  withdraw(demand: Demand): void;
  /** Changes the size of a reservation; false = there is no room, and the size stays. */
  resize(reservation: Reservation, bytes: number): boolean;
  /** The account is not used any more. */
  close(account: ReadAccount): void;
}

/** A page that waits for memory. */
export interface Demand {
  readonly account: ReadAccount;
  readonly bytes: number;
  /** The size of the smallest page, a single record, as far as it is known. */
  readonly least: number;
  readonly grant: (bytes: number) => Reservation;
}

/** Memory for one page: estimated while its call is under way, known once its reply begins. */
export class Reservation {
  readonly account: ReadAccount;
  bytes = 0;
  /** The size that was granted first. */
  readonly granted: number;
  /** For a single record: such a page may come without room. */
  least = false;
  /** Counts as old: see `ReadBudget`. */
  old = false;
  /** Takes no room from others: see `ReadBudget`. */
  beside = false;
  stage: "under way" | "read ahead" | "in hand" | "released" = "under way";
  /** When this stage began, or data came last, by the monotonic clock. */
  since: number;
  readonly #lender: Lender;
  readonly #clock: Clock;

  constructor(account: ReadAccount, granted: number, lender: Lender, clock: Clock) {
    this.account = account;
    this.granted = granted;
    this.#lender = lender;
    this.#clock = clock;
    this.since = clock.monotonic();
  }

  /** The reply needs so much; false = there is no room for it. */
  fits(bytes: number): boolean {
    if (this.stage === "released") return true;
    this.since = this.#clock.monotonic();
    return bytes === this.bytes || this.#lender.resize(this, bytes);
  }

  /** The page was received. */
  arrived(): void {
    this.#becomes("read ahead");
  }

  /** The page is in delivery. */
  taken(): void {
    this.#becomes("in hand");
  }

  /** So many bytes are needed beside the page, for a copy of a part of it; false = there is no room. */
  hold(bytes: number): boolean {
    return this.stage !== "released" && this.#lender.resize(this, this.bytes + bytes);
  }

  /** No more than so many bytes are needed any more. */
  shrinkTo(bytes: number): void {
    if (this.stage !== "released" && bytes < this.bytes) this.#lender.resize(this, bytes);
  }

  /** The page was handled, or never came. Idempotent. */
  release(): void {
    if (this.stage === "released") return;
    this.#lender.resize(this, 0);
    this.#becomes("released");
    const { reservations } = this.account;
    reservations.splice(reservations.indexOf(this), 1);
  }

  #becomes(stage: Reservation["stage"]): void {
    if (this.stage === "released") return;
    this.stage = stage;
    this.since = this.#clock.monotonic();
  }
}

/** One shard's part of the memory. It owns its reservations: closing it releases them all. */
export class ReadAccount {
  /** Bytes of its pages, and of those that are under way. */
  held = 0;
  /** What it waits for: a shard reads one page at a time. */
  demand: Demand | undefined;
  readonly reservations: Reservation[] = [];
  /** Called when others need memory and the page in hand is old: pages read ahead can be dropped. */
  onPressure: () => void = () => {};
  /** Is the handler at the page in hand? Else the page waits too: for the store, the lease, or the loop. */
  isHandling: () => boolean = () => true;
  readonly #lender: Lender;
  readonly #clock: Clock;
  #closed = false;

  constructor(lender: Lender, clock: Clock) {
    this.#lender = lender;
    this.#clock = clock;
  }

  /**
   * Waits for memory for a page. It may grant less than `bytes`, down to `least`: then the caller must
   * request a smaller page. 0 bytes are granted at once. @throws the signal's reason
   */
  reserve(bytes: number, least: number, signal: AbortSignal): Promise<Reservation> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      let waits = false;
      const onAbort = (): void => {
        this.demand = undefined;
        this.#lender.withdraw(demand);
        reject(signal.reason);
      };
      const demand: Demand = {
        account: this,
        bytes,
        least,
        grant: (granted) => {
          if (waits) signal.removeEventListener("abort", onAbort);
          this.demand = undefined;
          const reservation = new Reservation(this, granted, this.#lender, this.#clock);
          reservation.least = granted > 0 && granted <= least;
          this.reservations.push(reservation);
          this.#lender.resize(reservation, granted);
          // The reader has not yet seen that the account is closed.
          if (this.#closed) reservation.release();
          resolve(reservation);
          return reservation;
        },
      };
      if (bytes === 0) return void demand.grant(0);
      this.demand = demand;
      this.#lender.ask(demand);
      waits = this.demand === demand;
      if (waits) signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Nothing of the shard is in memory any more. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const reservation of this.reservations.slice()) reservation.release();
    this.#lender.close(this);
  }
}
