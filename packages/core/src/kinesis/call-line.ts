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

/** Lets one who waits in. */
type Admit = () => void;

/**
 * Turns that are under way at once, and those who wait for one. They are arrays: a Set that shrinks links its old
 * table to the new one, and so all calls stay until the old generation is collected.
 */
interface Lane {
  readonly size: number;
  /** In the order of their beginnings. */
  readonly turns: Turn[];
  /** Each in the order of coming; the first one goes first. */
  readonly queues: readonly Admit[][];
}

/**
 * The line in which calls wait for their turn. So many are under way at most.
 *
 * Calls that hang must not keep the others out. One that takes much longer than usual, while others
 * wait, goes over to the few places for late ones; if these are taken, it is given up. Its caller
 * stays in those places until a reply comes in time. A reply that is being read is not late.
 */
export class CallLine {
  readonly #clock: Clock;
  /** Those that wait for a prompt turn … */
  readonly #waiting: Admit[] = [];
  /** … and for a late one, where a shard that was answered, if slowly, goes first. */
  readonly #slow: Admit[] = [];
  readonly #silent: Admit[] = [];
  readonly #prompt: Lane;
  readonly #late: Lane;
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
    this.#prompt = { size: size.prompt, turns: [], queues: [this.#waiting] };
    this.#late = { size: size.late, turns: [], queues: [this.#slow, this.#silent] };
  }

  /** How many turns a second has, going by what they took of late. */
  get turnsPerSecond(): number {
    return (this.#prompt.size * 1000) / Math.max(1, this.#turnMs);
  }

  /** How long callers waited for a prompt turn of late, in milliseconds. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** Waits for a turn. Whoever got one must `leave`. @throws the signal's reason, at once */
  async enter(caller: Caller, signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted();
    const lane = caller.late && this.#late.size > 0 ? this.#late : this.#prompt;
    // Nobody waits where there is room.
    return lane.turns.length < lane.size
      ? this.#begin(lane, caller, 0)
      : this.#wait(lane, caller, signal);
  }

  #begin(lane: Lane, caller: Caller, waitedMs: number): Turn {
    const turn = new Turn(caller, this.#clock, (over) => this.#leave(over));
    if (lane === this.#prompt) this.#waitMs += (waitedMs - this.#waitMs) * WEIGHT;
    lane.turns.push(turn);
    return turn;
  }

  #wait(lane: Lane, caller: Caller, signal: AbortSignal): Promise<Turn> {
    const queue = lane === this.#prompt ? this.#waiting : caller.silent ? this.#silent : this.#slow;
    const since = this.#clock.monotonic();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        remove(queue, admit);
        this.#watch();
        reject(signal.reason);
      };
      const admit = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(this.#begin(lane, caller, this.#clock.monotonic() - since));
      };
      queue.push(admit);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#watch();
    });
  }

  get #patienceMs(): number {
    return Math.max(LEAST_PATIENCE_MS, PATIENCE * this.#replyMs);
  }

  #admit(): void {
    fill(this.#prompt);
    fill(this.#late);
    this.#watch();
  }

  #leave(turn: Turn): void {
    turn.judge(this.#patienceMs);
    for (const ms of turn.repliesMs) this.#replyMs += (ms - this.#replyMs) * WEIGHT;
    const wasPrompt = remove(this.#prompt.turns, turn);
    if (!wasPrompt) remove(this.#late.turns, turn);
    else if (turn.answered) this.#learnPace(turn);
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
    if (this.#waiting.length === 0 || this.#late.size === 0) {
      this.#cancelWatch?.();
      this.#cancelWatch = undefined;
      return;
    }
    if (this.#cancelWatch !== undefined) return;
    const now = this.#clock.monotonic();
    const longest = Math.max(...this.#prompt.turns.map((turn) => turn.silentMs(now)));
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
    let wanted = this.#waiting.length;
    for (const turn of this.#prompt.turns.slice()) {
      if (wanted === 0) break;
      if (turn.silentMs(now) < patienceMs) continue;
      wanted -= 1;
      if (this.#late.turns.length < this.#late.size) {
        remove(this.#prompt.turns, turn);
        this.#late.turns.push(turn);
        this.#admit();
      } else {
        turn.giveUp(patienceMs);
      }
    }
    this.#watch();
  }
}

/** Lets in who waits, as long as there are places. */
function fill({ size, turns, queues }: Lane): void {
  for (const queue of queues) {
    while (turns.length < size && queue.length > 0) queue.shift()!();
  }
}

/** False = it is not in the list. */
function remove<T>(list: T[], one: T): boolean {
  const index = list.indexOf(one);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}
