import type { Clock } from "../clock.ts";
import { ReadAccount, type Demand, type Lender, type Reservation } from "./read-account.ts";

/** Reading ahead leaves this part of the memory to shards that hold nothing. */
const LEFT_BY_READING_AHEAD = 1 / 4;
/** How often things are looked at while a shard with nothing waits, in milliseconds. */
const LOOK_MS = 1000;
/** A call without a sign of life for so long keeps no memory from others. */
const OLD_CALL_MS = 2000;
/** A page that has been in hand for so long may stay there for good. */
const OLD_PAGE_MS = 5000;
/** Where there are old pages, what they leave is shared out by this part. */
const PART_BESIDE_OLD = 1 / 4;

/**
 * The memory that pages may take up, over all shards of a scan: those being handled, those read
 * ahead, and those under way. It is `maxBytes` at most, and one page that holds a single record: a
 * reply for which there turns out to be no room is given up.
 *
 * A shard that holds nothing goes before those that read ahead. Handlers that are stuck hold up
 * their own shards, and not the rest: when others wait, what was read ahead for them is given up,
 * and each new page gets but a part of what the old ones leave.
 */
export class ReadBudget implements Lender {
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #accounts = new Set<ReadAccount>();
  /** Those that wait, in the order of asking: shards that hold nothing, shards that read ahead. */
  readonly #empty = new Set<Demand>();
  readonly #ahead = new Set<Demand>();
  #used = 0;
  /** Of pages that are old, as of the last look. */
  #oldBytes = 0;
  /** The page that came although there was no room. */
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
    reservation.bytes = bytes;
    account.held += more;
    this.#used += more;
    if (old) this.#oldBytes += more;
    if (more >= 0) return true;
    if (this.#used <= this.#maxBytes) this.#exceeding = undefined;
    const { demand } = account;
    if (account.held === 0 && demand !== undefined && this.#ahead.delete(demand)) {
      this.#empty.add(demand);
    }
    this.#grant();
    return true;
  }

  #mayGrow(reservation: Reservation, more: number): boolean {
    if (this.#fits(more)) return true;
    const { account, bytes, least } = reservation;
    // Whatever is larger than all the memory comes alone.
    const alone = this.#used === bytes;
    const exceeds = least && account.held === bytes && this.#exceeding === undefined;
    if (!alone && !exceeds && this.#exceeding !== reservation) return false;
    this.#exceeding = reservation;
    return true;
  }

  #fits(bytes: number): boolean {
    return this.#used + bytes <= this.#maxBytes;
  }

  /** Lets through who may go now; whoever goes first and may not holds up those behind. */
  #grant(): void {
    for (const demand of this.#empty) {
      const bytes = Math.min(demand.bytes, this.#largestPage);
      if (!this.#fits(bytes)) break;
      this.#empty.delete(demand);
      demand.grant(bytes);
    }
    for (const demand of this.#ahead) {
      const room = this.#maxBytes * (1 - LEFT_BY_READING_AHEAD) - this.#used;
      if (this.#empty.size > 0 || demand.bytes > room) break;
      this.#ahead.delete(demand);
      demand.grant(demand.bytes);
    }
    this.#planLook();
  }

  get #largestPage(): number {
    if (this.#oldBytes === 0) return this.#maxBytes;
    return Math.max(0, Math.floor((this.#maxBytes - this.#oldBytes) * PART_BESIDE_OLD));
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

  /** Shards that hold nothing wait: what others hold without need goes. */
  #look(): void {
    const now = this.#clock.monotonic();
    for (const account of this.#accounts) {
      for (const reservation of account.reservations) {
        const { stage, since, bytes } = reservation;
        if (stage === "under way" && now - since >= OLD_CALL_MS) this.resize(reservation, 0);
        if (stage !== "in hand" || now - since < OLD_PAGE_MS) continue;
        if (!reservation.old) this.#oldBytes += bytes;
        reservation.old = true;
        account.onPressure();
      }
    }
    this.#grant();
  }
}
