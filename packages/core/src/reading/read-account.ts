import type { Clock } from "../clock.ts";

/** Owns the memory, and grants it to accounts. */
export interface MemoryPool {
  /** Grants the request when there is room; until then, it waits in a queue. */
  request(request: MemoryRequest): void;
  /** Removes a request from the queue. */
  cancel(request: MemoryRequest): void;
  /** Changes the size of a reservation. Returns false, and changes nothing, if there is no room. */
  resize(reservation: Reservation, bytes: number): boolean;
  /** Removes an account. */
  close(account: ReadAccount): void;
}

/** A request for the memory of one page. */
export interface MemoryRequest {
  readonly account: ReadAccount;
  readonly bytes: number;
  /** The size of the smallest page, which has a single record, as far as it is known. */
  readonly minBytes: number;
  readonly grant: (bytes: number) => Reservation;
}

/** Memory for one page: an estimate while its call is in flight, the actual size once its reply begins. */
export class Reservation {
  readonly account: ReadAccount;
  bytes = 0;
  /** The size that was granted first. */
  readonly granted: number;
  /** Whether the page is for a single record: such a page may exceed the limit. */
  isSingleRecord = false;
  /** Whether the page has been in delivery for long: see `ReadBudget`. */
  isOld = false;
  /** Whether the page no longer counts against the limit: see `ReadBudget`. */
  isExempt = false;
  stage: "in flight" | "read ahead" | "in delivery" | "released" = "in flight";
  /** When the stage began, or when data last arrived, by the monotonic clock. */
  since: number;
  readonly #pool: MemoryPool;
  readonly #clock: Clock;

  constructor(account: ReadAccount, granted: number, pool: MemoryPool, clock: Clock) {
    this.account = account;
    this.granted = granted;
    this.#pool = pool;
    this.#clock = clock;
    this.since = clock.monotonic();
  }

  /** Resizes the reservation to what the reply needs. Returns false if there is no room. */
  fits(bytes: number): boolean {
    if (this.stage === "released") return true;
    this.since = this.#clock.monotonic();
    return bytes === this.bytes || this.#pool.resize(this, bytes);
  }

  /** Called when the page was received. */
  arrived(): void {
    this.#enter("read ahead");
  }

  /** Called when the delivery of the page begins. */
  taken(): void {
    this.#enter("in delivery");
  }

  /** Adds memory for a copy of a part of the page. Returns false if there is no room. */
  hold(bytes: number): boolean {
    return this.stage !== "released" && this.#pool.resize(this, this.bytes + bytes);
  }

  /** Shrinks the reservation to this size, if it is larger. */
  shrinkTo(bytes: number): void {
    if (this.stage !== "released" && bytes < this.bytes) this.#pool.resize(this, bytes);
  }

  /** Called when the page was handled, or did not arrive. Idempotent. */
  release(): void {
    if (this.stage === "released") return;
    this.#pool.resize(this, 0);
    this.#enter("released");
    const { reservations } = this.account;
    reservations.splice(reservations.indexOf(this), 1);
  }

  #enter(stage: Reservation["stage"]): void {
    if (this.stage === "released") return;
    this.stage = stage;
    this.since = this.#clock.monotonic();
  }
}

/** One shard's share of the memory. It owns its reservations: closing it releases them all. */
export class ReadAccount {
  /** Bytes of pages in memory and in flight. */
  held = 0;
  /** The request that waits for memory. There is at most one: a shard reads one page at a time. */
  pending: MemoryRequest | undefined;
  readonly reservations: Reservation[] = [];
  /** Called when other shards need memory and the page in delivery is old: pages read ahead can be dropped. */
  onPressure: () => void = () => {};
  /**
   * Whether the handler is running for a record of the page in delivery. Otherwise the page waits for something
   * else: the store, the lease or the event loop.
   */
  isHandling: () => boolean = () => true;
  readonly #pool: MemoryPool;
  readonly #clock: Clock;
  #closed = false;

  constructor(pool: MemoryPool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  /**
   * Waits for memory for a page. The reservation may be smaller than `bytes`, down to `minBytes`: then the caller must
   * request a smaller page. 0 bytes are granted without waiting. @throws the signal's reason
   */
  reserve(bytes: number, minBytes: number, signal: AbortSignal): Promise<Reservation> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      let waits = false;
      const onAbort = (): void => {
        this.pending = undefined;
        this.#pool.cancel(request);
        reject(signal.reason);
      };
      const request: MemoryRequest = {
        account: this,
        bytes,
        minBytes,
        grant: (granted) => {
          if (waits) signal.removeEventListener("abort", onAbort);
          this.pending = undefined;
          const reservation = new Reservation(this, granted, this.#pool, this.#clock);
          reservation.isSingleRecord = granted > 0 && granted <= minBytes;
          this.reservations.push(reservation);
          this.#pool.resize(reservation, granted);
          // The account was closed, and the reader has not noticed yet.
          if (this.#closed) reservation.release();
          resolve(reservation);
          return reservation;
        },
      };
      if (bytes === 0) return void request.grant(0);
      this.pending = request;
      this.#pool.request(request);
      waits = this.pending === request;
      if (waits) signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Releases all memory of the shard. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const reservation of this.reservations.slice()) reservation.release();
    this.#pool.close(this);
  }
}
