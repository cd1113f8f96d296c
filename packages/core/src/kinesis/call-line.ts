import type { Clock } from "../clock.ts";
import { Turn, type Caller } from "./call-turn.ts";

/** No reply is late before this. */
const LEAST_PATIENCE_MS = 250;
/** A reply that takes so many times as long as usual is late. */
const PATIENCE = 8;
/** The weight of one call in what is usual. */
const WEIGHT = 1 / 16;
/** The usual values until the first replies. */
const FIRST_REPLY_MS = 100;
const FIRST_TURN_MS = 25;

/** How many calls may be under way. */
export interface LineSize {
  readonly prompt: number;
  /** Calls that are late, and calls of those whose last one was; 0 = no call counts as late. */
  readonly late: number;
}

/** Lets one who waits into a lane. */
type Admit = (lane: Set<Turn>) => void;

/**
 * The line in which calls wait for their turn. So many are under way at most.
 *
 * Calls that hang must not keep the others out. One that takes much longer than usual, while others
 * wait, goes over to the few places for late ones; if these are taken, it is given up. Its caller
 * stays in those places until a reply comes in time. A reply that is being read is not late.
 */
export class CallLine {
  readonly #clock: Clock;
  readonly #size: LineSize;
  readonly #prompt = new Set<Turn>();
  readonly #late = new Set<Turn>();
  /** Those that wait, in the order of coming: for a prompt turn … */
  readonly #waiting = new Set<Admit>();
  /** … and for a late one, where a shard that was answered, if slowly, goes first. */
  readonly #slow = new Set<Admit>();
  readonly #silent = new Set<Admit>();
  /** What a reply takes to begin. */
  #replyMs = FIRST_REPLY_MS;
  /** What a turn takes in all. */
  #turnMs = FIRST_TURN_MS;
  /** When a turn that took far longer than usual counted last. */
  #outlierAt = -Infinity;
  #waitMs = 0;
  #cancelWatch: (() => void) | undefined;

  constructor(clock: Clock, size: LineSize) {
    this.#clock = clock;
    this.#size = size;
  }

  /** How many turns a second has, going by what they took of late. */
  get turnsPerSecond(): number {
    return (this.#size.prompt * 1000) / Math.max(1, this.#turnMs);
  }

  /** How long callers waited for a prompt turn of late, in milliseconds. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** Waits for a turn. Whoever got one must `leave`. @throws the signal's reason, at once */
  enter(caller: Caller, signal: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const queue = this.#queueOf(caller);
      const since = this.#clock.monotonic();
      let waits = false;
      const onAbort = (): void => {
        queue.delete(admit);
        this.#watch();
        reject(signal.reason);
      };
      const admit: Admit = (lane) => {
        queue.delete(admit);
        if (waits) signal.removeEventListener("abort", onAbort);
        const turn = new Turn(caller, this.#clock, (over) => this.#leave(over));
        if (lane === this.#prompt) this.#waitMs += (turn.since - since - this.#waitMs) * WEIGHT;
        lane.add(turn);
        resolve(turn);
      };
      queue.add(admit);
      this.#admit();
      waits = queue.has(admit);
      if (waits) signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #queueOf({ late, silent }: Caller): Set<Admit> {
    if (!late || this.#size.late === 0) return this.#waiting;
    return silent ? this.#silent : this.#slow;
  }

  get #patienceMs(): number {
    return Math.max(LEAST_PATIENCE_MS, PATIENCE * this.#replyMs);
  }

  #admit(): void {
    fill(this.#prompt, this.#size.prompt, [this.#waiting]);
    fill(this.#late, this.#size.late, [this.#slow, this.#silent]);
    this.#watch();
  }

  #leave(turn: Turn): void {
    turn.judge(this.#patienceMs);
    for (const ms of turn.repliesMs) this.#replyMs += (ms - this.#replyMs) * WEIGHT;
    const inTime = this.#prompt.delete(turn) && turn.answered;
    if (inTime) this.#learnPace(turn);
    this.#late.delete(turn);
    this.#admit();
  }

  /**
   * A network, or a process, that stood still is no pace. A turn counts for twice as much as usual
   * at most, and of turns that stood still together only one counts.
   */
  #learnPace({ since, tookMs }: Turn): void {
    const more = tookMs - this.#turnMs;
    if (more > this.#turnMs) {
      if (since < this.#outlierAt) return;
      this.#outlierAt = this.#clock.monotonic();
    }
    this.#turnMs += Math.min(more, this.#turnMs) * WEIGHT;
  }

  /** Looks again when the first call under way will be late, for as long as anybody waits. */
  #watch(): void {
    if (this.#waiting.size === 0 || this.#size.late === 0) {
      this.#cancelWatch?.();
      this.#cancelWatch = undefined;
      return;
    }
    if (this.#cancelWatch !== undefined) return;
    const now = this.#clock.monotonic();
    const longest = Math.max(...Array.from(this.#prompt, (turn) => turn.silentMs(now)));
    this.#cancelWatch = this.#clock.setTimer(
      () => {
        this.#cancelWatch = undefined;
        // A handler that held up the event loop has held up replies too: they get in first.
        void this.#clock.yield().then(() => this.#makeRoom());
      },
      Math.max(1, this.#patienceMs - longest),
    );
  }

  #makeRoom(): void {
    const now = this.#clock.monotonic();
    const patienceMs = this.#patienceMs;
    let wanted = this.#waiting.size;
    for (const turn of this.#prompt) {
      if (wanted === 0) break;
      if (turn.silentMs(now) < patienceMs) continue;
      wanted -= 1;
      if (this.#late.size < this.#size.late) {
        this.#prompt.delete(turn);
        this.#late.add(turn);
        this.#admit();
      } else {
        turn.giveUp(patienceMs);
      }
    }
    this.#watch();
  }
}

/** Lets in who waits, as long as there are places. */
function fill(lane: Set<Turn>, size: number, queues: readonly Set<Admit>[]): void {
  for (const queue of queues) {
    for (const admit of queue) {
      if (lane.size >= size) return;
      admit(lane);
    }
  }
}
