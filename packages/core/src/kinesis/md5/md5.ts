import { Lane, LaneMemory } from "./lane.ts";
import { openLanes, type Lanes } from "./lanes.ts";
import { LANES } from "./layout.ts";
import { ShortMd5 } from "./short-md5.ts";

/** The maximum number of messages per digest. */
export const MAX_MESSAGES = 64;
const DIGEST_BYTES = 16;

/**
 * Computes the MD5 of many messages in parallel: a lane whose message is complete gets the next one. Add messages,
 * call `digest`, and read the digests. Nothing is allocated for a short message.
 */
export class Md5 {
  readonly #engine: Lanes;
  readonly #lanes: readonly Lane[];
  readonly #sources: (Uint8Array | undefined)[] = Array.from<undefined>({ length: MAX_MESSAGES });
  readonly #starts = new Int32Array(MAX_MESSAGES);
  readonly #ends = new Int32Array(MAX_MESSAGES);
  readonly #digests = new DataView(new ArrayBuffer(MAX_MESSAGES * DIGEST_BYTES));
  #added = 0;
  /** The index of the next message without a lane. */
  #next = 0;

  constructor(lanes: Lanes) {
    this.#engine = lanes;
    const memory = new LaneMemory(lanes.memory);
    this.#lanes = Array.from({ length: LANES }, (_, lane) => new Lane(memory, lane));
  }

  /** Adds the message in `source` from `start` to `end`. Digests have the indexes of their messages. */
  add(source: Uint8Array, start: number, end: number): void {
    this.#sources[this.#added] = source;
    this.#starts[this.#added] = start;
    this.#ends[this.#added] = end;
    this.#added += 1;
  }

  /** Digests all added messages. The digests are valid until the next call. */
  digest(): void {
    try {
      this.#digestAll();
    } finally {
      // They may be views on pages, which would stay in memory.
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
        if (lane.left === 0 || !lane.advance(blocks)) continue;
        lane.digest(this.#digests, lane.message * DIGEST_BYTES);
        this.#begin(lane);
      }
    }
  }

  /** Returns one of the four 32-bit words of a digest, as in hash keys: the first word is the most significant. */
  wordOf(index: number, word: number): number {
    return this.#digests.getUint32(index * DIGEST_BYTES + 4 * word);
  }

  /** Whether the bytes from `start` on are the digest. */
  is(index: number, bytes: Uint8Array, start: number): boolean {
    const at = index * DIGEST_BYTES;
    for (let i = 0; i < DIGEST_BYTES; i += 1) {
      if (this.#digests.getUint8(at + i) !== bytes[start + i]) return false;
    }
    return true;
  }

  /** Starts the next message in the lane, if there is one. */
  #begin(lane: Lane): void {
    const message = this.#next;
    if (message === this.#added) return lane.setIdle();
    this.#next += 1;
    lane.begin(message, this.#sources[message]!, this.#starts[message]!, this.#ends[message]!);
  }

  /** How many blocks can be digested before a lane needs more data; 0 = all messages are complete. */
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

/** The shared instance. The caller must add messages, digest them and read the digests synchronously. */
export function sharedMd5(): Md5 {
  return (shared ?? open()).md5;
}

/** As `sharedMd5`, for short messages. */
export function sharedShortMd5(): ShortMd5 {
  return (shared ?? open()).short;
}
