import type { CallOptions } from "../../checkpoints/store.ts";
import { DeadLetterError } from "../../errors.ts";
import { decodeDeadLetter, encodeDeadLetter } from "./dead-letter-json.ts";
import { checkListOptions } from "./dead-letter-list.ts";
import {
  pointerTo,
  type DeadLetter,
  type DeadLetterListOptions,
  type DeadLetterPage,
  type DeadLetterTable,
} from "./dead-letter.ts";
import { requestsOf } from "./letter-requests.ts";

/** A letter as a row of a table, or as an item with these attributes. */
export interface LetterRow {
  readonly id: string;
  readonly application: string;
  /** The letter without its data, as JSON. */
  readonly letter: string;
  /** Undefined if the row is a pointer. */
  readonly data: Uint8Array | undefined;
  /** The total size of these columns, text in UTF-8. */
  readonly bytes: number;
}

/** The columns that are read back. */
export type StoredLetter = Pick<LetterRow, "letter" | "data">;

export interface LetterLimits {
  /** The most rows of one `put`, and the most bytes. A single row may have more. */
  readonly most: number;
  readonly maxBytes: number;
  /** The most bytes of a row; a larger one becomes a pointer. Infinity = any record fits. */
  readonly maxRowBytes: number;
}

/** The statements of a dead-letter table in a store's database. Failures are StoreErrors. */
export interface LetterStatements {
  /** The table's name in messages: `Postgres table "letters"`. */
  readonly where: string;
  /** Creates the table if it does not exist. */
  setup(options: CallOptions): Promise<void>;
  limits(options: CallOptions): Promise<LetterLimits>;
  /** Inserts or replaces the rows. No two have the same id. */
  put(rows: readonly LetterRow[], options: CallOptions): Promise<void>;
  /**
   * The first `limit` letters after the id `after` (empty = from the first letter), in an order that the
   * table chooses. Only those of `application`, unless it is undefined.
   */
  page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]>;
  get(id: string): Promise<StoredLetter | undefined>;
  remove(ids: readonly string[]): Promise<void>;
}

const MAX_IDS_PER_REMOVE = 500;

/** The dead-letter table of a store: the logic that all stores share, around their statements. */
export class StatementsDeadLetterTable implements DeadLetterTable {
  readonly #statements: LetterStatements;
  #closed = false;

  constructor(statements: LetterStatements) {
    this.#statements = statements;
  }

  async setup(options: CallOptions = {}): Promise<void> {
    this.#checkOpen();
    await this.#statements.setup(options);
  }

  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#checkOpen();
    signal.throwIfAborted();
    if (letters.length === 0) return;
    const limits = await this.#statements.limits({ signal });
    for (const rows of requestsOf(letterRowsOf(letters, limits.maxRowBytes), limits)) {
      await this.#statements.put(rows, { signal });
    }
  }

  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    this.#checkOpen();
    const { application, limit, after = "" } = checkListOptions(options);
    const rows = await this.#statements.page(application, after, limit + 1);
    const page = rows.slice(0, limit);
    const letters = page.map(letterOf);
    return rows.length > limit ? { letters, next: page.at(-1)!.id } : { letters };
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    this.#checkOpen();
    const row = await this.#statements.get(id);
    return row && letterOf(row);
  }

  async remove(ids: readonly string[]): Promise<void> {
    this.#checkOpen();
    for (let from = 0; from < ids.length; from += MAX_IDS_PER_REMOVE) {
      await this.#statements.remove(ids.slice(from, from + MAX_IDS_PER_REMOVE));
    }
  }

  /** The store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new DeadLetterError("DEAD_LETTERS_CLOSED", `${this.#statements.where}: it was closed`);
  }
}

/** The rows of the letters, created lazily. Of several letters with one id only the last is kept. */
export function* letterRowsOf(
  letters: readonly DeadLetter[],
  maxRowBytes: number,
): Generator<LetterRow> {
  const last = new Map(letters.map((letter) => [letter.id, letter]));
  for (const letter of last.values()) yield rowOf(letter, maxRowBytes);
}

function rowOf(letter: DeadLetter, maxRowBytes: number): LetterRow {
  const { id, application, data } = letter;
  const text = encodeDeadLetter(pointerTo(letter));
  const beside = [id, application, text].reduce((sum, each) => sum + Buffer.byteLength(each), 0);
  const bytes = beside + (data?.length ?? 0);
  const row = { id, application, letter: text };
  return bytes <= maxRowBytes
    ? { ...row, data, bytes }
    : { ...row, data: undefined, bytes: beside };
}

/** @throws DeadLetterError DEAD_LETTERS_CORRUPT for a row that this library has not written */
function letterOf({ letter, data }: StoredLetter): DeadLetter {
  return { ...decodeDeadLetter(letter), data };
}
