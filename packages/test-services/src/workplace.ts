import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIGNAL_TREE } from "./process-tree.ts";
import { unprivileged } from "./unprivileged.ts";

/**
 * A script that reads the id of the server's process from standard input, line by line (an empty
 * line: none). The input ends when the process at the other end calls `close` or dies in any way:
 * then the script kills the server and removes its directory. A killed Postgres also leaves a
 * segment of System V shared memory behind.
 */
const CLEANER = `${SIGNAL_TREE}
cd /
while read -r line; do server=$line; done
[ -n "$server" ] && signal_tree KILL "$server"
lock="$1/data/postmaster.pid"
[ -f "$lock" ] && ipcrm -m "$(sed -n '7s/.* //p' "$lock")" 2>/dev/null
rm -rf "$1"`;

/** A temporary directory with at most one server; neither outlives the process that created it. */
export interface Workplace {
  readonly directory: string;
  /** An empty directory in it for the server's data. */
  readonly data: string;
  /** Sets the process to kill at the end. */
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
  // Runs in a separate session, so that the terminal's Ctrl-C does not reach it.
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
