import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SIGNAL_TREE } from "./process-tree.ts";
import { unprivileged } from "./unprivileged.ts";

/** The file in a workplace that holds the process id of the server that runs in it. */
const PID_FILE = "server.pid";

/**
 * Waits for its standard input to end, which happens when the process that holds the other end calls
 * `close` or dies, however it dies; then ends the server and removes its directory. Postgres leaves
 * a piece of System V shared memory behind when it is killed.
 */
const CLEANER = `${SIGNAL_TREE}
cat >/dev/null
cd /
[ -f "$1/${PID_FILE}" ] && signal_tree KILL "$(cat "$1/${PID_FILE}")"
[ -f "$1/data/postmaster.pid" ] && ipcrm -m "$(sed -n '7s/.* //p' "$1/data/postmaster.pid")" 2>/dev/null
rm -rf "$1"`;

/** A temporary directory with at most one server in it; neither outlives the process that made it. */
export interface Workplace {
  readonly directory: string;
  /** Says which process is to be killed at the end. */
  occupy(pid: number): void;
  vacate(): void;
  /** Kills the server, removes the directory. */
  close(): Promise<void>;
}

export function openWorkplace(name: string): Workplace {
  const directory = mkdtempSync(join(tmpdir(), `kc-${name}-`));
  if (unprivileged !== undefined) chownSync(directory, unprivileged.uid, unprivileged.gid);
  const pidFile = join(directory, PID_FILE);
  // In a session of its own, where the terminal's Ctrl-C does not reach it.
  const cleaner = spawn("sh", ["-c", CLEANER, "sh", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const done = once(cleaner, "exit");
  cleaner.unref();
  return {
    directory,
    occupy: (pid) => writeFileSync(pidFile, String(pid)),
    vacate: () => rmSync(pidFile, { force: true }),
    close: async () => {
      cleaner.ref();
      cleaner.stdin.end();
      await done;
    },
  };
}
