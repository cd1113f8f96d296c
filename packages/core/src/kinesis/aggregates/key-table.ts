import { textOf } from "../short-text.ts";
import { ProtobufError } from "./protobuf-reader.ts";

/** A table may have so many entries, whatever they are for. */
const FEW_ENTRIES = 1024;
/** An entry of a table takes two bytes at least, and the user record that it is for takes six. */
const LEAST_ENTRY_AND_RECORD_BYTES = 8;

/**
 * The keys of one aggregate, as its table has them: where each one lies. Their texts are made when somebody
 * asks. All of them count as the shard's until it is found that they are not.
 */
export class KeyTable {
  readonly bytes: Buffer;
  /** So many entries at most. */
  readonly #most: number;
  /** Where each key begins and ends. */
  readonly #spans: number[] = [];
  readonly #texts: (string | undefined)[] = [];
  /** For each key a one, if it is elsewhere; undefined = none is. */
  #elsewhere: Uint8Array | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // All of the table may come before the first user record.
    this.#most = Math.max(FEW_ENTRIES, bytes.length / LEAST_ENTRY_AND_RECORD_BYTES);
  }

  get length(): number {
    return this.#spans.length / 2;
  }

  /** Does every key belong to the shard? */
  get areAllHere(): boolean {
    return this.#elsewhere === undefined;
  }

  /** Takes an entry. A table whose entries are for nothing takes up little memory. @throws ProtobufError */
  add(start: number, end: number): void {
    if (this.length >= this.#most) {
      throw new ProtobufError("more keys than user records");
    }
    this.#spans.push(start, end);
    this.#texts.push(undefined);
  }

  start(index: number): number {
    return this.#spans[2 * index]!;
  }

  end(index: number): number {
    return this.#spans[2 * index + 1]!;
  }

  text(index: number): string {
    return (this.#texts[index] ??= textOf(this.bytes, this.start(index), this.end(index)));
  }

  /** The text is known from somewhere else. */
  setText(index: number, text: string): void {
    this.#texts[index] = text;
  }

  isHere(index: number): boolean {
    return this.#elsewhere === undefined || this.#elsewhere[index] === 0;
  }

  /** The key belongs to another shard. All keys were added before. */
  setElsewhere(index: number): void {
    (this.#elsewhere ??= new Uint8Array(this.length))[index] = 1;
  }
}
