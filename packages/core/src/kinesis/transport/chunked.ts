import { BadReplyError } from "./reply-head.ts";

/** The maximum length of a size line or a trailer line. */
const MAX_LINE = 8 * 1024;
const SIZE = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/;

/** Decodes the chunked transfer coding incrementally. */
export class ChunkedDecoder {
  #state: "size" | "data" | "data-end" | "trailer" | "done" = "size";
  /** The part of the current line that has arrived. */
  #line = "";
  /** The rest of the current chunk, in bytes. */
  #left = 0;

  get done(): boolean {
    return this.#state === "done";
  }

  /**
   * @param take called with each piece of the body, which is a view on `bytes`
   * @returns how many bytes belong to the body
   * @throws BadReplyError
   */
  decode(bytes: Uint8Array, take: (piece: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.byteLength && this.#state !== "done") {
      if (this.#state === "data") {
        const piece = bytes.subarray(at, at + this.#left);
        take(piece);
        at += piece.byteLength;
        this.#left -= piece.byteLength;
        if (this.#left === 0) this.#state = "data-end";
      } else {
        const feed = bytes.indexOf(0x0a, at);
        const end = feed < 0 ? bytes.byteLength : feed;
        this.#line += Buffer.from(bytes.subarray(at, end)).toString("latin1");
        if (this.#line.length > MAX_LINE) throw new BadReplyError("a chunk's line is too long");
        at = end + 1;
        if (feed >= 0) this.#endLine();
        else at = end;
      }
    }
    return at;
  }

  #endLine(): void {
    if (!this.#line.endsWith("\r")) throw new BadReplyError("a chunk's line has no CR");
    const line = this.#line.slice(0, -1);
    this.#line = "";
    if (this.#state === "size") {
      const size = SIZE.exec(line);
      if (size === null) throw new BadReplyError("a chunk has no size");
      this.#left = Number.parseInt(size[1]!, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
    } else if (this.#state === "data-end") {
      if (line !== "") throw new BadReplyError("a chunk is longer than its size");
      this.#state = "size";
    } else if (line === "") this.#state = "done";
  }
}
