import { KcError, StoreError, type CallOptions, type DeadLetter } from "@kc/core";
import {
  letterRowsOf,
  type LetterLimits,
  type LetterRow,
  type StoredLetter,
  type TransactionalLetterStatements,
} from "@kc/core/adapter";
import type { Connection } from "./connection.ts";
import { Session, type SqliteDatabase, type SqliteRow } from "./driver.ts";
import { isEmptyDatabase, migrate, SCHEMA_STEPS } from "./schema.ts";

/** A row has no limit: a blob holds the largest record. A transaction blocks the event loop until it is on disk. */
const LIMITS: LetterLimits = { most: 50, maxBytes: 1024 * 1024, maxRowBytes: Infinity };

const DDL = `CREATE TABLE IF NOT EXISTS kc_dead_letters (
  id TEXT PRIMARY KEY,
  application TEXT NOT NULL,
  letter TEXT NOT NULL,
  data BLOB,
  put_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000)
) STRICT`;

const PUT = `INSERT INTO kc_dead_letters (id, application, letter, data) VALUES (?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET letter = excluded.letter, data = excluded.data
  RETURNING id`;
/** Reads data as text: the drivers return different types for blobs. */
const DATA = "CASE WHEN data IS NOT NULL THEN hex(data) END AS data";
const PAGE = `SELECT id, letter, ${DATA} FROM kc_dead_letters
  WHERE id > ? AND (? IS NULL OR application = ?) ORDER BY id LIMIT ?`;
const GET = `SELECT letter, ${DATA} FROM kc_dead_letters WHERE id = ?`;
const REMOVE = `DELETE FROM kc_dead_letters WHERE id IN (SELECT value FROM json_each(?))
  RETURNING id`;

/** The statements of the dead letters table. */
export class SqliteLetters implements TransactionalLetterStatements<SqliteDatabase> {
  readonly where: string;
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.where = `${connection.where}, table kc_dead_letters`;
  }

  async setup(options: CallOptions): Promise<void> {
    await this.#connection.run((session) => {
      // An empty file gets the store's tables first: with only this table in it, the store would take the file for
      // another program's.
      if (this.#connection.owned && isEmptyDatabase(session)) migrate(session, SCHEMA_STEPS);
      session.write(() => session.database.exec(DDL));
    }, options);
  }

  async limits(): Promise<LetterLimits> {
    return LIMITS;
  }

  async put(rows: readonly LetterRow[], options: CallOptions): Promise<void> {
    await this.#run((session) => session.write(() => putAll(session, rows)), options);
  }

  /** The same, within a handler's transaction. */
  putIn(tx: SqliteDatabase, letters: readonly DeadLetter[]): void {
    putAll(new Session(tx), letterRowsOf(letters, LIMITS.maxRowBytes));
  }

  async page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    const own = application ?? null;
    const rows = await this.#run((session) => session.query(PAGE, [after, own, own, limit]));
    return rows.map((row) => ({ id: String(row["id"]), ...storedOf(row) }));
  }

  async get(id: string): Promise<StoredLetter | undefined> {
    const [row] = await this.#run((session) => session.query(GET, [id]));
    return row && storedOf(row);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#run((session) => session.write(() => session.query(REMOVE, [JSON.stringify(ids)])));
  }

  async #run<Answer>(work: (session: Session) => Answer, options?: CallOptions): Promise<Answer> {
    try {
      return await this.#connection.run(work, options);
    } catch (error) {
      if (!KcError.is(error) || error.code !== "STORE_SCHEMA") throw error;
      throw new StoreError(
        "STORE_SCHEMA",
        `${this.where}: it is missing or belongs to another program: run \`await store.deadLetters().setup()\` once`,
        { cause: error.cause },
      );
    }
  }
}

function putAll(session: Session, rows: Iterable<LetterRow>): void {
  for (const { id, application, letter, data } of rows) {
    session.query(PUT, [id, application, letter, data === undefined ? null : blob(data)]);
  }
}

/** better-sqlite3 binds bytes only as a Buffer. */
function blob({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function storedOf(row: SqliteRow): StoredLetter {
  const data = row["data"] ?? null;
  return {
    letter: String(row["letter"]),
    data: data === null ? undefined : new Uint8Array(Buffer.from(String(data), "hex")),
  };
}
