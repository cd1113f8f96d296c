import type { Clock } from "../clock.ts";
import { ReadAccount, type Demand, type Lender, type Reservation } from "./read-account.ts";

/** Reading ahead uses this part of the memory at most. */
const PART_FOR_READING_AHEAD = 3 / 4;
/** All pages together use this part at most. The rest is divided evenly once there are old pages. */
const PART_FOR_ALL = 7 / 8;
/** How often the pages are checked while a shard without a page waits, in milliseconds. */
const LOOK_MS = 1000;
/** A call that has received no data for so long keeps no memory from other shards. */
const OLD_CALL_MS = 2000;
/** A page that has been with the handler for so long is old: its handler may be stuck. */
const OLD_PAGE_MS = 5000;
/** The part of the free memory that a page may get where there are old pages. */
const PART_BESIDE_OLD = 1 / 4;
/** A page may be so many times as large as its estimate, because records differ. */
const DIFFERENCE = 2;

/**
 * The memory that pages may take up, over all shards of a scan: pages in the handler, pages read
 * ahead, and pages under way. A reply that does not fit is dropped, and requested again later.
 *
 * A shard without a page goes before shards that read ahead. A stuck handler blocks its own shard,
 * and no other. While other shards wait, the pages read ahead for stuck handlers are dropped, and new
 * pages are small enough that each shard can have one. A shard without a page always gets a page of a
 * single record in the end, even without room: one such page at a time. Once its handler has taken
 * long, that page no longer counts against the room, and the next such page may come.
 *
 * So the bound is `maxBytes`, one record, and one record for each handler that takes longer than
 * `OLD_PAGE_MS`.
 */
export class ReadBudget implements Lender {
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #accounts = new Set<ReadAccount>();
  /** Demands that wait, in order: of shards without a page, of shards that read ahead. */
  readonly #empty = new Set<Demand>();
  readonly #ahead = new Set<Demand>();
  #used = 0;
  /** The part of it that pages without room take up whose handlers take long. */
  #besideBytes = 0;
  /** Shards with at least one page. */
  #holders = 0;
  /** Old pages, as of the last check. */
  #oldPages = 0;
  /** The page for which there is no room. It is not old. */
  #exceeding: Reservation | undefined;
  #cancelLook: (() => void) | undefined;

  constructor(maxBytes: number, clock: Clock) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  /** Bytes of pages in memory and under way. */
  get used(): number {
    return this.#used;
  }

  /** What a shard has of the memory. Whoever opens it closes it. */
  open(): ReadAccount {
    const account = new ReadAccount(this, this.#clock);
    this.#accounts.add(account);
    return account;
  }

  close(account: ReadAccount): void {
    this.#accounts.delete(account);
  }

  ask(demand: Demand): void {
    (demand.account.held > 0 ? this.#ahead : this.#empty).add(demand);
    this.#grant();
  }

  withdraw(demand: Demand): void {
    this.#empty.delete(demand);
    this.#ahead.delete(demand);
    this.#grant();
  }

  resize(reservation: Reservation, bytes: number): boolean {
    const { account, old } = reservation;
    const more = bytes - reservation.bytes;
    if (more > 0 && !this.#mayGrow(reservation, more)) return false;
    const held = account.held + more;
    this.#holders += Number(held > 0) - Number(account.held > 0);
    account.held = held;
    reservation.bytes = bytes;
    this.#used += more;
    if (reservation.beside) this.#besideBytes += more;
    if (more >= 0) return true;
    if (old && bytes === 0) this.#oldPages -= 1;
    if (this.#exceeding === reservation && bytes === 0) this.#exceeding = undefined;
    if (this.#inRoom <= this.#maxBytes) this.#exceeding = undefined;
    const { demand } = account;
    if (account.held === 0 && demand !== undefined && this.#ahead.delete(demand)) {
      this.#empty.add(demand);
    }
    this.#grant();
    return true;
  }

  /** Bytes of all pages that take room from others. */
  get #inRoom(): number {
    return this.#used - this.#besideBytes;
  }

  #mayGrow(reservation: Reservation, more: number): boolean {
    const { account, granted, least } = reservation;
    const used = this.#inRoom + more;
    const bytes = reservation.bytes + more;
    if (used <= this.#maxBytes * PART_FOR_ALL) return true;
    const isDue = least || bytes <= Math.max(granted * DIFFERENCE, this.#evenShare);
    if (isDue && used <= this.#maxBytes) return true;
    // A page larger than all the memory comes alone.
    const alone = this.#used + more === bytes;
    const exceeds = least && account.held === reservation.bytes;
    const isFree = this.#exceeding === undefined || this.#exceeding === reservation;
    if (!alone && !(exceeds && isFree)) return false;
    if (used > this.#maxBytes) this.#exceeding = reservation;
    return true;
  }

  /** Grants what fits now, in order. The first demand that does not fit blocks those behind it. */
  #grant(): void {
    for (const demand of this.#empty) {
      const { least } = demand;
      const bytes = Math.max(least, Math.min(demand.bytes, this.#largestPage));
      const part = this.#oldPages === 0 ? PART_FOR_ALL : 1;
      const fits = this.#inRoom + bytes <= this.#maxBytes * part;
      if (!fits && (bytes > least || this.#exceeding !== undefined)) break;
      this.#empty.delete(demand);
      demand.grant(bytes);
    }
    for (const demand of this.#ahead) {
      const room = this.#maxBytes * PART_FOR_READING_AHEAD - this.#inRoom;
      if (this.#empty.size > 0 || demand.bytes > room) break;
      this.#ahead.delete(demand);
      demand.grant(demand.bytes);
    }
    this.#planLook();
  }

  /** The largest page that a shard without a page may ask for. */
  get #largestPage(): number {
    if (this.#oldPages === 0) return this.#maxBytes * PART_FOR_ALL;
    const free = this.#maxBytes * PART_FOR_ALL - this.#inRoom;
    return Math.max(0, Math.floor(Math.max(free * PART_BESIDE_OLD, this.#evenShare)));
  }

  /** For a shard without a page. It does not depend on how many others have their share. */
  get #evenShare(): number {
    return (this.#maxBytes - this.#inRoom) / Math.max(1, this.#accounts.size - this.#holders);
  }

  #planLook(): void {
    if (this.#empty.size === 0) {
      this.#cancelLook?.();
      this.#cancelLook = undefined;
    } else {
      this.#cancelLook ??= this.#clock.setTimer(() => {
        this.#cancelLook = undefined;
        this.#look();
      }, LOOK_MS);
    }
  }

  /** Shards without a page wait: what others hold without need is dropped. */
  #look(): void {
    const now = this.#clock.monotonic();
    for (const account of this.#accounts) {
      // Those that are released leave the list.
      for (const reservation of account.reservations.slice()) {
        const { stage, since, bytes } = reservation;
        if (stage === "under way" && now - since >= OLD_CALL_MS) this.resize(reservation, 0);
        if (stage !== "in hand" || now - since < OLD_PAGE_MS) continue;
        if (!reservation.old && bytes > 0) {
          reservation.old = true;
          this.#oldPages += 1;
        }
        if (this.#exceeding === reservation && account.isHandling()) this.#putBeside(reservation);
        account.onPressure();
      }
    }
    this.#grant();
  }

  /** The next page without room may come. */
  #putBeside(reservation: Reservation): void {
    this.#exceeding = undefined;
    reservation.beside = true;
    this.#besideBytes += reservation.bytes;
  }
}
