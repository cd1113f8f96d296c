import { IDLE, LANE_BYTES, laneAt, startAt, stateAt } from "./layout.ts";
import { BLOCK_BYTES, INITIAL_STATE } from "./steps.ts";

/** The minimum padding, in bytes: a set bit, and the message's length as 64 bits. */
const MIN_PADDING = 9;
/** Up to this length, a loop copies faster than a call into the runtime. */
const MAX_LOOP_COPY = 48;
const EMPTY = new Uint8Array(0);

/** Views on the memory of all lanes. */
export class LaneMemory {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly quads: Float64Array;

  constructor(memory: ArrayBuffer) {
    this.view = new DataView(memory);
    this.bytes = new Uint8Array(memory);
    this.quads = new Float64Array(memory);
  }
}

/** Copies one message after another into a lane, piece by piece. */
export class Lane {
  /** The index of the message in the lane. */
  message = -1;
  /** How many blocks in the lane are not digested yet; 0 = the lane has no message. */
  left = 0;
  readonly #memory: LaneMemory;
  readonly #start: number;
  readonly #state: number;
  readonly #first: number;
  #source: Uint8Array = EMPTY;
  /** The range of the source that is not copied yet. */
  #from = 0;
  #end = 0;
  #length = 0;
  #isLast = false;
  #at = IDLE;

  constructor(memory: LaneMemory, lane: number) {
    this.#memory = memory;
    this.#start = startAt(lane);
    this.#state = stateAt(lane, 0);
    this.#first = laneAt(lane);
  }

  begin(message: number, source: Uint8Array, start: number, end: number): void {
    this.message = message;
    this.#source = source;
    this.#from = start;
    this.#end = end;
    this.#length = end - start;
    const { view } = this.#memory;
    view.setInt32(this.#state, INITIAL_STATE[0], true);
    view.setInt32(this.#state + 16, INITIAL_STATE[1], true);
    view.setInt32(this.#state + 32, INITIAL_STATE[2], true);
    view.setInt32(this.#state + 48, INITIAL_STATE[3], true);
    this.#fill();
  }

  /** @param blocks how many blocks were digested  @returns true if the message is complete */
  advance(blocks: number): boolean {
    this.left -= blocks;
    if (this.left > 0) this.#moveTo(this.#at + blocks * BLOCK_BYTES);
    else if (this.#isLast) return true;
    else this.#fill();
    return false;
  }

  /** Marks the lane as idle: there is no message for it. */
  setIdle(): void {
    this.left = 0;
    this.#source = EMPTY;
    this.#moveTo(IDLE);
  }

  digest(into: DataView, at: number): void {
    const { view } = this.#memory;
    into.setInt32(at, view.getInt32(this.#state, true), true);
    into.setInt32(at + 4, view.getInt32(this.#state + 16, true), true);
    into.setInt32(at + 8, view.getInt32(this.#state + 32, true), true);
    into.setInt32(at + 12, view.getInt32(this.#state + 48, true), true);
  }

  /** Copies as much of the message as fits. If the rest fits, adds the padding. */
  #fill(): void {
    const rest = this.#end - this.#from;
    this.#isLast = rest + MIN_PADDING <= LANE_BYTES;
    let bytes = rest;
    if (this.#isLast) {
      this.left = (rest + MIN_PADDING + BLOCK_BYTES - 1) >> 6;
      this.#pad(rest);
    } else {
      this.left = Math.min(rest, LANE_BYTES) >> 6;
      bytes = this.left * BLOCK_BYTES;
    }
    this.#copy(bytes);
    this.#moveTo(this.#first);
  }

  #copy(bytes: number): void {
    const source = this.#source;
    const target = this.#memory.bytes;
    const from = this.#from;
    const to = this.#first;
    if (bytes > MAX_LOOP_COPY) target.set(source.subarray(from, from + bytes), to);
    else for (let i = 0; i < bytes; i += 1) target[to + i] = source[from + i]!;
    this.#from += bytes;
  }

  /**
   * Writes the padding after the first `bytes` bytes of the lane. It clears eight bytes at a time, so it may also
   * clear a few bytes before the padding: the message is copied afterwards.
   */
  #pad(bytes: number): void {
    const { quads, view } = this.#memory;
    const end = (this.#first + this.left * BLOCK_BYTES) >> 3;
    for (let i = (this.#first + bytes) >> 3; i < end; i += 1) quads[i] = 0;
    view.setUint8(this.#first + bytes, 0x80);
    view.setInt32(8 * end - 8, this.#length << 3, true);
    view.setInt32(8 * end - 4, this.#length >>> 29, true);
  }

  #moveTo(at: number): void {
    this.#at = at;
    this.#memory.view.setInt32(this.#start, at, true);
  }
}
