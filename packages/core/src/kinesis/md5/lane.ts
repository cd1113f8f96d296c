import { IDLE, LANE_BYTES, laneAt, startAt, stateAt } from "./layout.ts";
import { BLOCK_BYTES, INITIAL_STATE } from "./steps.ts";

/** What follows a message: a bit that is set, and the message's length in 64 bits. */
const LEAST_PADDING = 9;
/** Longer pieces are copied by the runtime, whose call costs more than a few bytes. */
const FEW_BYTES = 48;
const EMPTY = new Uint8Array(0);

/** The memory of all lanes. */
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

/** Brings one message after another into a lane, piece by piece. */
export class Lane {
  /** The index of the message in the lane. */
  message = -1;
  /** How many blocks are still to be digested of what is in the lane; 0 = it has no message. */
  left = 0;
  readonly #memory: LaneMemory;
  readonly #start: number;
  readonly #state: number;
  readonly #first: number;
  #source: Uint8Array = EMPTY;
  /** What is not in the lane yet. */
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

  /** So many blocks were digested. True = all of the message was. */
  pass(blocks: number): boolean {
    this.left -= blocks;
    if (this.left > 0) this.#moveTo(this.#at + blocks * BLOCK_BYTES);
    else if (this.#isLast) return true;
    else this.#fill();
    return false;
  }

  /** There is no message for it. */
  rest(): void {
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

  /** Copies as much of the message as fits. What fits as a whole gets its padding. */
  #fill(): void {
    const rest = this.#end - this.#from;
    this.#isLast = rest + LEAST_PADDING <= LANE_BYTES;
    let bytes = rest;
    if (this.#isLast) {
      this.left = (rest + LEAST_PADDING + BLOCK_BYTES - 1) >> 6;
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
    if (bytes > FEW_BYTES) target.set(source.subarray(from, from + bytes), to);
    else for (let i = 0; i < bytes; i += 1) target[to + i] = source[from + i]!;
    this.#from += bytes;
  }

  /** Clears what follows so many bytes, a little before it too, and writes the padding. */
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
