import { realpathSync, statSync, type BigIntStats } from "node:fs";
import { resolve } from "node:path";
import { StoreError, StoreRegressedError } from "@kc/core";

/**
 * The identity of the files that an open database writes to. While it is open, its path may come to name other files.
 * Further writes would then be acknowledged and lost. This happens if:
 * - the file was removed, moved, or replaced by a restored copy;
 * - its write-ahead log was removed. POSIX drops a file's locks when the process closes any of its descriptors. So
 *   after a plain read of the file in this process, or its use by another copy of SQLite in it, the next process that
 *   closes the database believes that it is the last one, and removes the log.
 */
export class FileIdentity {
  readonly #path: string;
  readonly #logPath: string;
  readonly #file: string | undefined;
  readonly #log: string | undefined;

  /** The database must be open, so that its write-ahead log exists. */
  constructor(path: string) {
    this.#path = resolve(path);
    this.#file = identity(this.#path);
    // SQLite resolves symbolic links first: the log is beside the file, not beside a link to it.
    this.#logPath = `${realpathSync(this.#path)}-wal`;
    this.#log = identity(this.#logPath);
  }

  /** @throws StoreError if the next process that opens the path would not find a write */
  check(): void {
    const path = this.#path;
    const file = identity(path);
    if (file !== this.#file) {
      throw new StoreRegressedError(
        `${path} was ${file === undefined ? "removed" : "replaced by another file"} while it was ` +
          "open, and further writes would be lost. Stop every process that uses it, check " +
          "that the right file is in its place, and start again",
      );
    }
    if (identity(this.#logPath) === this.#log) return;
    throw new StoreError(
      "STORE_FAILED",
      `${path}: its write-ahead log was removed while it was open, and further writes would be lost. Restart ` +
        "this process. Do not read or copy the file in a process that has it open, nor open it there " +
        "with another SQLite library: both drop the file's locks",
    );
  }
}

/** Device and inode; `undefined` if there is no file. */
function identity(path: string): string | undefined {
  const stats: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}
