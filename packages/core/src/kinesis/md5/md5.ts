import { Lane, LaneMemory } from "./lane.ts";
import { openLanes, type Lanes } from "./lanes.ts";
import { LANES } from "./layout.ts";
import { ShortMd5 } from "./short-md5.ts";

/** So many messages fit, at most. */
export const MOST_MESSAGES = 64;
const DIGEST_BYTES = 16;

/**
 * The MD5 of many messages at once: a lane whose message is over takes the next one. Add messages, call
 * `digest`, and compare the digests. Nothing is allocated for a short message.
 */
export class Md5 {
  readonly #engine: Lanes;
  readonly #lanes: readonly Lane[];
  readonly #sources: (Uint8Array | undefined)[] = Array.from<undefined>({ length: MOST_MESSAGES });
  readonly #starts = new Int32Array(MOST_MESSAGES);
  readonly #ends = new Int32Array(MOST_MESSAGES);
  readonly #digests = new DataView(new ArrayBuffer(MOST_MESSAGES * DIGEST_BYTES));
  #added = 0;
  /** The next message that has no lane yet. */
  #next = 0;

  constructor(lanes: Lanes) {
    this.#engine = lanes;
    const memory = new LaneMemory(lanes.memory);
    this.#lanes = Array.from({ length: LANES }, (_, lane) => new Lane(memory, lane));
  }

  /** Adds the message that lies in the source from `start` to `end`. Its index is that of its digest. */
  add(source: Uint8Array, start: number, end: number): void {
    this.#sources[this.#added] = source;
    this.#starts[this.#added] = start;
    this.#ends[this.#added] = end;
    this.#added += 1;
  }

  /** Digests all that was added. The digests stay until it is called again. */
  digest(): void {
    try {
      this.#digestAll();
    } finally {
      // They may be views on pages, which would be kept.
      this.#sources.fill(undefined, 0, this.#added);
      this.#added = 0;
    }
  }

  #digestAll(): void {
    const lanes = this.#lanes;
    this.#next = 0;
    for (let i = 0; i < LANES; i += 1) this.#begin(lanes[i]!);
    for (let blocks = this.#fewestLeft(); blocks > 0; blocks = this.#fewestLeft()) {
      this.#engine.digest(blocks);
      for (let i = 0; i < LANES; i += 1) {
        const lane = lanes[i]!;
        if (lane.left === 0 || !lane.pass(blocks)) continue;
        lane.digest(this.#digests, lane.message * DIGEST_BYTES);
        this.#begin(lane);
      }
    }
  }

  /** One of the four words of 32 bits of a digest, as hash keys count them: the first one is the highest. */
  wordOf(index: number, word: number): number {
    return this.#digests.getUint32(index * DIGEST_BYTES + 4 * word);
  }

  /** Are these bytes the digest? */
  is(index: number, bytes: Uint8Array, start: number): boolean {
    const at = index * DIGEST_BYTES;
    for (let i = 0; i < DIGEST_BYTES; i += 1) {
      if (this.#digests.getUint8(at + i) !== bytes[start + i]) return false;
    }
    return true;
  }

  /** Gives the lane the next message, if there is one. */
  #begin(lane: Lane): void {
    const message = this.#next;
    if (message === this.#added) return lane.rest();
    this.#next += 1;
    lane.begin(message, this.#sources[message]!, this.#starts[message]!, this.#ends[message]!);
  }

  /** Blocks that can be digested until a lane needs more; 0 = all is done. */
  #fewestLeft(): number {
    let fewest = 0;
    for (let i = 0; i < LANES; i += 1) {
      const { left } = this.#lanes[i]!;
      if (left > 0 && (fewest === 0 || left < fewest)) fewest = left;
    }
    return fewest;
  }
}

interface Shared {
  readonly md5: Md5;
  readonly short: ShortMd5;
}

let shared: Shared | undefined;

function open(): Shared {
  const lanes = openLanes();
  return (shared = { md5: new Md5(lanes), short: new ShortMd5(lanes) });
}

/** For those who add messages, digest them and look at the digests before anybody else can. */
export function sharedMd5(): Md5 {
  return (shared ?? open()).md5;
}

/** The same for short messages. */
export function sharedShortMd5(): ShortMd5 {
  return (shared ?? open()).short;
}
