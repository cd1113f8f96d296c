import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIGNAL_TREE } from "./process-tree.ts";
import { unprivileged } from "./unprivileged.ts";

/**
 * Reads from its standard input, line by line, which process is the server's (an empty line: none).
 * The input ends when the process that holds the other end calls `close` or dies, however it dies:
 * then the server is killed and its directory removed. Postgres also leaves a piece of System V
 * shared memory behind when it is killed.
 */
const CLEANER = `${SIGNAL_TREE}
cd /
while read -r line; do server=$line; done
[ -n "$server" ] && signal_tree KILL "$server"
lock="$1/data/postmaster.pid"
[ -f "$lock" ] && ipcrm -m "$(sed -n '7s/.* //p' "$lock")" 2>/dev/null
rm -rf "$1"`;

/** A temporary directory with at most one server in it; neither outlives the process that made it. */
export interface Workplace {
  readonly directory: string;
  /** A directory in it, empty at first, for what the server stores. */
  readonly data: string;
  /** Says which process is to be killed at the end. */
  occupy(pid: number): void;
  vacate(): void;
  /** Kills the server, removes the directory. */
  close(): Promise<void>;
}

export function openWorkplace(name: string): Workplace {
  const directory = mkdtempSync(join(tmpdir(), `kc-${name}-`));
  const data = join(directory, "data");
  // Postgres requires a directory that no other user can read.
  mkdirSync(data, { mode: 0o700 });
  if (unprivileged !== undefined) {
    for (const each of [directory, data]) chownSync(each, unprivileged.uid, unprivileged.gid);
  }
  // In a session of its own, where the terminal's Ctrl-C does not reach it.
  const cleaner = spawn("sh", ["-c", CLEANER, "sh", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const done = once(cleaner, "exit");
  cleaner.unref();
  return {
    directory,
    data,
    occupy: (pid) => void cleaner.stdin.write(`${pid}\n`),
    vacate: () => void (cleaner.stdin.writable && cleaner.stdin.write("\n")),
    close: async () => {
      cleaner.ref();
      cleaner.stdin.end();
      await done;
    },
  };
}
