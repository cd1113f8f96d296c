import type { Clock } from "../clock.ts";
import {
  ReadAccount,
  type MemoryPool,
  type MemoryRequest,
  type Reservation,
} from "./read-account.ts";

/** Reading ahead may use at most this part of the memory. */
const PART_FOR_READING_AHEAD = 3 / 4;
/** All pages together may use at most this part. The rest is divided evenly once there are old pages. */
const PART_FOR_ALL = 7 / 8;
/** How often the pages are checked while a shard without a page waits, in milliseconds. */
const CHECK_MS = 1000;
/** A call that has received no data for this long releases its memory to other shards. */
const OLD_CALL_MS = 2000;
/** A page that has been in delivery for this long is old: its handler may be stuck. */
const OLD_PAGE_MS = 5000;
/** While there are old pages, a page may get at most this part of the free memory. */
const PART_BESIDE_OLD = 1 / 4;
/** A page may be this many times as large as its estimate, because records differ in size. */
const ESTIMATE_TOLERANCE = 2;

/**
 * The memory that pages may use, over all shards of a scan: pages in delivery, pages read ahead, and pages in
 * flight. A reply that does not fit is dropped, and requested again later.
 *
 * Shards without a page have priority over shards that read ahead. A stuck handler blocks its own shard, and no
 * other. While other shards wait, the pages read ahead for stuck handlers are dropped, and new pages are small
 * enough that each shard can have one. A shard without a page always gets a page of a single record in the end,
 * even beyond the limit, but only one such page exists at a time. Once its handler has taken long, that page no
 * longer counts against the limit, and the next such page may be read.
 *
 * So the bound is `maxBytes`, one record, and one record for each handler that takes longer than
 * `OLD_PAGE_MS`.
 */
export class ReadBudget implements MemoryPool {
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #accounts = new Set<ReadAccount>();
  /** Waiting requests of shards without a page, first in, first out. */
  readonly #empty = new Set<MemoryRequest>();
  /** Waiting requests of shards that read ahead, first in, first out. */
  readonly #ahead = new Set<MemoryRequest>();
  #used = 0;
  /** The part of `#used` that belongs to exempt pages. */
  #exemptBytes = 0;
  /** The number of shards with at least one page. */
  #holders = 0;
  /** The number of old pages, as of the last check. */
  #oldPages = 0;
  /** The page that exceeds the limit. It is not exempt. */
  #exceeding: Reservation | undefined;
  #cancelCheck: (() => void) | undefined;

  constructor(maxBytes: number, clock: Clock) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  /** Bytes of pages in memory and in flight. */
  get used(): number {
    return this.#used;
  }

  /** Opens the account of a shard. The caller must close it. */
  open(): ReadAccount {
    const account = new ReadAccount(this, this.#clock);
    this.#accounts.add(account);
    return account;
  }

  close(account: ReadAccount): void {
    this.#accounts.delete(account);
  }

  request(request: MemoryRequest): void {
    (request.account.held > 0 ? this.#ahead : this.#empty).add(request);
    this.#grant();
  }

  cancel(request: MemoryRequest): void {
    this.#empty.delete(request);
    this.#ahead.delete(request);
    this.#grant();
  }

  resize(reservation: Reservation, bytes: number): boolean {
    const { account, isOld } = reservation;
    const more = bytes - reservation.bytes;
    if (more > 0 && !this.#mayGrow(reservation, more)) return false;
    const held = account.held + more;
    this.#holders += Number(held > 0) - Number(account.held > 0);
    account.held = held;
    reservation.bytes = bytes;
    this.#used += more;
    if (reservation.isExempt) this.#exemptBytes += more;
    if (more >= 0) return true;
    if (isOld && bytes === 0) this.#oldPages -= 1;
    if (this.#exceeding === reservation && bytes === 0) this.#exceeding = undefined;
    if (this.#counted <= this.#maxBytes) this.#exceeding = undefined;
    const { pending } = account;
    if (account.held === 0 && pending !== undefined && this.#ahead.delete(pending)) {
      this.#empty.add(pending);
    }
    this.#grant();
    return true;
  }

  /** Bytes of all pages that count against the limit. */
  get #counted(): number {
    return this.#used - this.#exemptBytes;
  }

  #mayGrow(reservation: Reservation, more: number): boolean {
    const { account, granted, isSingleRecord } = reservation;
    const counted = this.#counted + more;
    const bytes = reservation.bytes + more;
    if (counted <= this.#maxBytes * PART_FOR_ALL) return true;
    const isFair =
      isSingleRecord || bytes <= Math.max(granted * ESTIMATE_TOLERANCE, this.#evenShare);
    if (isFair && counted <= this.#maxBytes) return true;
    // A page that is larger than all the memory is read alone.
    const isAlone = this.#used + more === bytes;
    const isOnlyPageOfShard = isSingleRecord && account.held === reservation.bytes;
    const mayExceed = this.#exceeding === undefined || this.#exceeding === reservation;
    if (!isAlone && !(isOnlyPageOfShard && mayExceed)) return false;
    if (counted > this.#maxBytes) this.#exceeding = reservation;
    return true;
  }

  /** Grants what fits now, in order. The first request that does not fit blocks those behind it. */
  #grant(): void {
    for (const request of this.#empty) {
      const { minBytes } = request;
      const bytes = Math.max(minBytes, Math.min(request.bytes, this.#largestPage));
      const part = this.#oldPages === 0 ? PART_FOR_ALL : 1;
      const fits = this.#counted + bytes <= this.#maxBytes * part;
      if (!fits && (bytes > minBytes || this.#exceeding !== undefined)) break;
      this.#empty.delete(request);
      request.grant(bytes);
    }
    for (const request of this.#ahead) {
      const room = this.#maxBytes * PART_FOR_READING_AHEAD - this.#counted;
      if (this.#empty.size > 0 || request.bytes > room) break;
      this.#ahead.delete(request);
      request.grant(request.bytes);
    }
    this.#scheduleCheck();
  }

  /** The largest page that a shard without a page may request. */
  get #largestPage(): number {
    if (this.#oldPages === 0) return this.#maxBytes * PART_FOR_ALL;
    const free = this.#maxBytes * PART_FOR_ALL - this.#counted;
    return Math.max(0, Math.floor(Math.max(free * PART_BESIDE_OLD, this.#evenShare)));
  }

  /** The share of each shard without a page in the free memory. */
  get #evenShare(): number {
    return (this.#maxBytes - this.#counted) / Math.max(1, this.#accounts.size - this.#holders);
  }

  #scheduleCheck(): void {
    if (this.#empty.size === 0) {
      this.#cancelCheck?.();
      this.#cancelCheck = undefined;
    } else {
      this.#cancelCheck ??= this.#clock.setTimer(() => {
        this.#cancelCheck = undefined;
        this.#check();
      }, CHECK_MS);
    }
  }

  /** Called while shards without a page wait. Reclaims memory that others hold without need. */
  #check(): void {
    const now = this.#clock.monotonic();
    for (const account of this.#accounts) {
      // A copy, because released reservations leave the list.
      for (const reservation of account.reservations.slice()) {
        const { stage, since, bytes } = reservation;
        if (stage === "in flight" && now - since >= OLD_CALL_MS) this.resize(reservation, 0);
        if (stage !== "in delivery" || now - since < OLD_PAGE_MS) continue;
        if (!reservation.isOld && bytes > 0) {
          reservation.isOld = true;
          this.#oldPages += 1;
        }
        if (this.#exceeding === reservation && account.isHandling()) this.#exempt(reservation);
        account.onPressure();
      }
    }
    this.#grant();
  }

  /** Allows the next page that exceeds the limit. */
  #exempt(reservation: Reservation): void {
    this.#exceeding = undefined;
    reservation.isExempt = true;
    this.#exemptBytes += reservation.bytes;
  }
}
