import { KcError, type CallOptions, type DeadLetter } from "@kc/core";
import {
  letterRowsOf,
  requestsOf,
  type LetterLimits,
  type LetterRow,
  type StoredLetter,
  type TransactionalLetterStatements,
} from "@kc/core/adapter";
import pg from "pg";
import type { PostgresRow, PostgresRows, PostgresTransaction } from "./driver.ts";
import type { Connection, MakeStatements, Subject } from "./connection.ts";
import { howToSetUp, isMissingTable, toStoreError } from "./errors.ts";
import { LOCK_SETUP, refusedSetup } from "./setup.ts";

/** A row has no limit: a `bytea` holds the largest record. */
const LIMITS: LetterLimits = { most: 100, maxBytes: 4 * 1024 * 1024, maxRowBytes: Infinity };

/** The statements of the dead letters table. */
export class PostgresLetters implements TransactionalLetterStatements<PostgresTransaction> {
  readonly where: string;
  readonly #connection: Connection;
  readonly #table: string;
  readonly #setupTimeoutMs: number;
  readonly #ddl: string;
  readonly #subject: Subject;

  constructor(connection: Connection, table: string, setupTimeoutMs: number) {
    this.where = `Postgres table ${table}`;
    this.#connection = connection;
    this.#table = table;
    this.#setupTimeoutMs = setupTimeoutMs;
    this.#ddl = `CREATE TABLE IF NOT EXISTS ${table} (
  id text COLLATE "C" PRIMARY KEY,
  application text NOT NULL,
  letter text NOT NULL,
  data bytea,
  put_at timestamptz NOT NULL DEFAULT now()
)`;
    const remedy = howToSetUp(`${this.#ddl};`, "store.deadLetters().setup()");
    this.#subject = { where: this.where, remedy };
  }

  /** Checks first whether the table exists. If it does, no right to create is needed. */
  async setup(options: CallOptions): Promise<void> {
    const look = `SELECT id, application, letter, data, put_at FROM ${this.#table} LIMIT 0`;
    try {
      await this.#run(() => [look], options);
      return;
    } catch (error) {
      if (!KcError.is(error) || !isMissingTable(error.cause)) throw error;
    }
    try {
      const waiting = { ...options, lockTimeoutMs: this.#setupTimeoutMs };
      await this.#run(() => [LOCK_SETUP, this.#ddl], waiting);
    } catch (error) {
      if (!KcError.is(error) || error.code !== "STORE_ACCESS_DENIED") throw error;
      throw refusedSetup(error.cause, this.#subject);
    }
  }

  async limits(): Promise<LetterLimits> {
    return LIMITS;
  }

  /** In the order of ids, so that two workers that send the same letters lock them in the same order. */
  async put(rows: readonly LetterRow[], options: CallOptions): Promise<void> {
    await this.#run((quote) => [this.#insert(rows, quote)], options);
  }

  /** The same, within a handler's transaction. */
  async putIn(tx: PostgresTransaction, letters: readonly DeadLetter[]): Promise<void> {
    for (const rows of requestsOf(letterRowsOf(letters, LIMITS.maxRowBytes), LIMITS)) {
      try {
        await tx.query(this.#insert(rows, pg.escapeLiteral));
      } catch (error) {
        throw toStoreError(error, this.#subject.where, this.#subject.remedy);
      }
    }
  }

  async page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    const [rows = []] = await this.#run((quote) => {
      const own = application === undefined ? "" : `AND application = ${quote(application)}`;
      return [`${this.#select} WHERE id > ${quote(after)} ${own} ORDER BY id LIMIT ${limit}`];
    });
    return rows.map((row) => ({ id: String(row["id"]), ...storedOf(row) }));
  }

  async get(id: string): Promise<StoredLetter | undefined> {
    const [[row] = []] = await this.#run((quote) => [`${this.#select} WHERE id = ${quote(id)}`]);
    return row && storedOf(row);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#run((quote) => [
      `DELETE FROM ${this.#table} WHERE id IN (${ids.map(quote).join(", ")})`,
    ]);
  }

  #insert(rows: readonly LetterRow[], quote: (value: string) => string): string {
    const values = rows
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map(
        ({ id, application, letter, data }) =>
          `(${quote(id)}, ${quote(application)}, ${quote(letter)}, ${bytes(data)})`,
      );
    return `INSERT INTO ${this.#table} (id, application, letter, data) VALUES ${values.join(",\n")}
      ON CONFLICT (id) DO UPDATE SET letter = excluded.letter, data = excluded.data`;
  }

  get #select(): string {
    return `SELECT id, letter, encode(data, 'base64') AS data FROM ${this.#table}`;
  }

  #run(
    make: MakeStatements,
    options: CallOptions & { readonly lockTimeoutMs?: number } = {},
  ): Promise<readonly PostgresRows[]> {
    return this.#connection.run(make, { ...options, subject: this.#subject });
  }
}

/** A `bytea` literal. Base64 has no characters that need quoting. */
function bytes(data: Uint8Array | undefined): string {
  if (data === undefined) return "NULL";
  const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
  return `decode('${base64}', 'base64')`;
}

function storedOf(row: PostgresRow): StoredLetter {
  const data = row["data"] ?? null;
  return {
    letter: String(row["letter"]),
    data: data === null ? undefined : new Uint8Array(Buffer.from(data, "base64")),
  };
}
