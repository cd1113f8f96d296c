import { KcError, StoreError, type CallOptions, type DeadLetter } from "@kc/core";
import {
  letterRowsOf,
  type LetterLimits,
  type LetterRow,
  type StoredLetter,
  type TransactionalLetterStatements,
} from "@kc/core/adapter";
import type { PoolConnection } from "mysql2/promise";
import type { Connection } from "./connection.ts";
import {
  ask,
  IN_MARIADB,
  rowsOf,
  upsertedIn,
  type MysqlRow,
  type Session,
  type Upserted,
} from "./driver.ts";
import { toStoreError } from "./errors.ts";
import { hex, list, literal, WRITABLE } from "./sql.ts";

/** The maximum number of letters in one call: the store's other calls wait meanwhile. */
const MAX_ROWS = 20;
const MIB = 1024 * 1024;
/** The bytes of a statement beside those of the row's values. */
const BESIDE_ROW = 4096;

/** The statements of the dead letters table. Each letter is inserted by a statement of its own. */
export class MysqlLetters implements TransactionalLetterStatements<PoolConnection> {
  readonly where: string;
  readonly #connection: Connection;
  readonly #table: string;
  readonly #ddl: string;

  constructor(connection: Connection, table: string) {
    this.#connection = connection;
    this.#table = table;
    this.where = `MySQL table ${table}`;
    this.#ddl = `CREATE TABLE IF NOT EXISTS ${table} (
  id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  application varchar(255) NOT NULL,
  letter text NOT NULL,
  data longblob NULL,
  put_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`;
  }

  /** Checks first whether the table exists. If it does, no right to create is needed. */
  async setup(options: CallOptions): Promise<void> {
    const probe = `SELECT id, application, letter, data, put_at FROM ${this.#table} LIMIT 0`;
    await this.#connection
      .run((session) => session.read(probe), options)
      .catch(async (error: unknown) => {
        if (!isSchema(error)) throw error;
        await this.#create(options);
        await this.#run((session) => session.read(probe), options);
      });
  }

  async limits(options: CallOptions): Promise<LetterLimits> {
    return limitsIn(await this.#run((session) => session.read(PACKET), options));
  }

  async put(rows: readonly LetterRow[], options: CallOptions): Promise<void> {
    await this.#run(async (session) => {
      for (const row of rows) this.#checkPut(await session.upsert(this.#put(row)));
    }, options);
  }

  /** The same, within a handler's transaction. */
  async putIn(tx: PoolConnection, letters: readonly DeadLetter[]): Promise<void> {
    try {
      const { maxRowBytes } = limitsIn(rowsOf(await ask(tx, PACKET)));
      for (const row of letterRowsOf(letters, maxRowBytes)) {
        this.#checkPut(upsertedIn(await ask(tx, IN_MARIADB + this.#put(row))));
      }
    } catch (error) {
      throw this.#explained(toStoreError(error));
    }
  }

  #checkPut({ rows }: Upserted): void {
    if (rows !== 0) return;
    throw new StoreError("STORE_UNAVAILABLE", `${this.where}: the server is read-only`, {
      retryable: true,
    });
  }

  async page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    // Trailing spaces count only in a comparison of bytes.
    const own =
      application === undefined
        ? ""
        : `AND CAST(application AS BINARY) = CAST(${literal(application)} AS BINARY)`;
    const rows = await this.#run((session) =>
      session.read(`${this.#select} WHERE id > ${ascii(after)} ${own} ORDER BY id LIMIT ${limit}`),
    );
    return rows.map((row) => ({ id: String(row["id"]), ...storedOf(row) }));
  }

  async get(id: string): Promise<StoredLetter | undefined> {
    const [row] = await this.#run((session) =>
      session.read(`${this.#select} WHERE id = ${ascii(id)}`),
    );
    return row && storedOf(row);
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#run((session) =>
      session.write(`DELETE FROM ${this.#table} WHERE id IN (${list(ids)}) AND ${WRITABLE}`),
    );
  }

  get #select(): string {
    return `SELECT id, ${hex("letter")} AS letter, TO_BASE64(data) AS data FROM ${this.#table}`;
  }

  #put({ id, application, letter, data }: LetterRow): string {
    const bytes = data === undefined ? "NULL" : `X'${Buffer.from(data).toString("hex")}'`;
    const values = [literal(id), literal(application), literal(letter), bytes];
    return `INSERT INTO ${this.#table} (id, application, letter, data)
      SELECT ${values.join(", ")} FROM DUAL WHERE ${WRITABLE}
      ON DUPLICATE KEY UPDATE letter = VALUES(letter), data = VALUES(data)`;
  }

  async #create(options: CallOptions): Promise<void> {
    try {
      await this.#connection.run((session) => session.define(this.#ddl), options);
    } catch (error) {
      if (!KcError.is(error) || error.code !== "STORE_ACCESS_DENIED") throw error;
      throw new StoreError(
        error.code,
        `${this.where}: this user may not create it. The statement was:\n${this.#ddl};`,
        { cause: error.cause },
      );
    }
  }

  async #run<Answer>(
    work: (session: Session) => Promise<Answer>,
    options?: CallOptions,
  ): Promise<Answer> {
    try {
      return await this.#connection.run(work, options);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #explained(error: unknown): unknown {
    if (!isSchema(error)) return error;
    return new StoreError(
      "STORE_SCHEMA",
      `${this.where}: it is missing or belongs to another program: run ` +
        `\`await store.deadLetters().setup()\` once, or\n${this.#ddl};`,
      { cause: error },
    );
  }
}

const PACKET = "SELECT CONCAT(@@max_allowed_packet) AS packet";

/** A byte takes two characters in a statement, and a statement must fit into a packet. */
function limitsIn([row]: readonly MysqlRow[]): LetterLimits {
  const maxRowBytes = Math.floor((Number(row?.["packet"]) - BESIDE_ROW) / 2);
  return { most: MAX_ROWS, maxBytes: Math.min(MIB, maxRowBytes), maxRowBytes };
}

function isSchema(error: unknown): boolean {
  return KcError.is(error) && error.code === "STORE_SCHEMA";
}

/** A literal in the column's character set, so that the index is used. */
function ascii(text: string): string {
  return `CONVERT(${literal(text)} USING ascii)`;
}

function storedOf(row: MysqlRow): StoredLetter {
  const data = row["data"] ?? null;
  return {
    letter: Buffer.from(row["letter"] ?? "", "hex").toString(),
    data: data === null ? undefined : new Uint8Array(Buffer.from(data, "base64")),
  };
}
