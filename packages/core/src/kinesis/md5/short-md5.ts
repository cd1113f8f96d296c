import type { Lanes } from "./lanes.ts";
import {
  LANES,
  MAX_SHORT,
  SHORT_LENGTHS,
  SHORT_SOURCE,
  SHORT_SOURCE_BYTES,
  SHORT_STARTS,
  shortDigestAt,
} from "./layout.ts";

/** The maximum length of a short message: the padding must fit into the same block. */
export const MAX_SHORT_BYTES = 55;

/**
 * Computes the MD5 of many short messages in one buffer: they are copied to the lanes' memory together, and padded
 * there. Add messages, call `digest`, and read the digests.
 */
export class ShortMd5 {
  readonly #lanes: Lanes;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;
  #added = 0;
  #from = 0;
  #to = 0;

  constructor(lanes: Lanes) {
    const { memory } = lanes;
    this.#lanes = lanes;
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#starts = new Int32Array(memory, SHORT_STARTS, MAX_SHORT);
    this.#lengths = new Int32Array(memory, SHORT_LENGTHS, MAX_SHORT);
  }

  /**
   * Adds a message of at most `MAX_SHORT_BYTES`, which must come after the added ones in the buffer. Digests have the
   * indexes of their messages. Returns false if there is no space until the others are digested.
   */
  add(start: number, end: number): boolean {
    const added = this.#added;
    if (added === 0) this.#from = start;
    if (added === MAX_SHORT || end - this.#from > SHORT_SOURCE_BYTES) return false;
    this.#starts[added] = SHORT_SOURCE + start - this.#from;
    this.#lengths[added] = end - start;
    this.#to = end;
    this.#added = added + 1;
    return true;
  }

  /** Digests all added messages. The digests are valid until the next call. @param source the buffer */
  digest(source: Uint8Array): void {
    const added = this.#added;
    this.#added = 0;
    if (added === 0) return;
    this.#bytes.set(source.subarray(this.#from, this.#to), SHORT_SOURCE);
    this.#lanes.digestShort(Math.ceil(added / LANES));
  }

  /** As `Md5.wordOf`. */
  wordOf(index: number, word: number): number {
    return this.#view.getUint32(shortDigestAt(index, word));
  }
}
