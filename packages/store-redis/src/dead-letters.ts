import type { CallOptions } from "@kc/core";
import type { LetterLimits, LetterRow, LetterStatements, StoredLetter } from "@kc/core/adapter";
import type { Connection } from "./connection.ts";
import * as lua from "./dead-letter-statements.ts";
import { refuseEviction } from "./eviction-policy.ts";
import { textsOf } from "./replies.ts";
import type { Script } from "./script.ts";

/** A row has no limit: a string of Redis may have 512 MB. */
const LIMITS: LetterLimits = { most: 50, maxBytes: 4 * 1024 * 1024, maxRowBytes: Infinity };
const [DATA, POINTER] = ["1", ""];

/** The dead letters of one store, in five keys of one slot. */
export class RedisLetters implements LetterStatements {
  readonly where: string;
  readonly #connection: Connection;
  readonly #keys: readonly string[];
  #isKept = false;

  constructor(connection: Connection, keyPrefix: string) {
    const base = `${keyPrefix}{kc:dead-letters}`;
    this.#connection = connection;
    this.where = `Redis keys ${base}`;
    const names = ["letters", "data", "applications", "ids", "ids_by_application"];
    this.#keys = names.map((name) => `${base}/${name}`);
  }

  /** Only checks the server: there is nothing to create. */
  setup(options: CallOptions): Promise<void> {
    return this.#refuseEviction(options);
  }

  async limits(options: CallOptions): Promise<LetterLimits> {
    await this.#refuseEviction(options);
    return LIMITS;
  }

  async put(rows: readonly LetterRow[], options: CallOptions): Promise<void> {
    const calls = rows.map(({ id, application, letter, data }) => ({
      keys: this.#keys,
      args: [
        id,
        application,
        letter,
        ...(data === undefined ? [POINTER, ""] : [DATA, Buffer.from(data).toString("base64")]),
      ],
    }));
    await this.#connection.run(lua.PUT_LETTER, calls, options);
  }

  async page(
    application: string | undefined,
    after: string,
    limit: number,
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    return this.#read(lua.PAGE_OF_LETTERS, [application ?? "", after, String(limit)]);
  }

  async get(id: string): Promise<StoredLetter | undefined> {
    const [letter] = await this.#read(lua.READ_LETTER, [id]);
    return letter;
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#connection.run(lua.REMOVE_LETTERS, [{ keys: this.#keys, args: ids }]);
  }

  async #read(
    script: Script,
    args: readonly string[],
  ): Promise<readonly (StoredLetter & { readonly id: string })[]> {
    const [reply] = await this.#connection.run(script, [{ keys: this.#keys, args }]);
    const texts = textsOf(reply);
    return Array.from({ length: texts.length / 4 }, (_, index) => {
      const [id = "", letter = "", kind, data = ""] = texts.slice(index * 4, index * 4 + 4);
      const bytes = kind === DATA ? new Uint8Array(Buffer.from(data, "base64")) : undefined;
      return { id, letter, data: bytes };
    });
  }

  async #refuseEviction(options: CallOptions): Promise<void> {
    if (this.#isKept) return;
    await refuseEviction(this.#connection, options);
    this.#isKept = true;
  }
}
