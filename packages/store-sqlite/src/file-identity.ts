import { realpathSync, statSync, type BigIntStats } from "node:fs";
import { resolve } from "node:path";
import { StoreError, StoreRegressedError } from "@kc/core";

/**
 * Which files an open database writes to. Its path may come to name others while it is open, and
 * what is written then is acknowledged and lost:
 * - the file was removed, moved, or replaced by a restored copy;
 * - its write-ahead log was removed. POSIX drops a file's locks when the process closes any of its
 *   descriptors, so a plain read of the file in this process, or another copy of SQLite in it, lets
 *   the next process that closes the database take itself for the last one.
 */
export class FileIdentity {
  readonly #path: string;
  readonly #logPath: string;
  readonly #file: string | undefined;
  readonly #log: string | undefined;

  /** Of a database that is open, and whose log therefore exists. */
  constructor(path: string) {
    this.#path = resolve(path);
    this.#file = identity(this.#path);
    // SQLite follows symbolic links first: the log stands beside the file, not beside a link to it.
    this.#logPath = `${realpathSync(this.#path)}-wal`;
    this.#log = identity(this.#logPath);
  }

  /** @throws StoreError if a write would not be found by the next process that opens the path */
  check(): void {
    const path = this.#path;
    const file = identity(path);
    if (file !== this.#file) {
      throw new StoreRegressedError(
        `${path} was ${file === undefined ? "removed" : "replaced by another file"} while it was ` +
          "open, and what is written here would be lost. Stop every process that uses it, check " +
          "that the right file is in its place, and start again",
      );
    }
    if (identity(this.#logPath) === this.#log) return;
    throw new StoreError(
      "STORE_FAILED",
      `${path}: its write-ahead log was removed while it was open, and what is written here would ` +
        "be lost. Start this process again. Do not read or copy the file in a process that has it " +
        "open, nor open it there with another SQLite library: both drop the file's locks",
    );
  }
}

/** Device and inode; undefined = there is none. */
function identity(path: string): string | undefined {
  const stats: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}
