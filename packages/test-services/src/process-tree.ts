import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A shell function: `signal_tree SIGNAL PID` signals a process and all its descendants, and prints
 * their ids. A process group is not sufficient: Postgres puts each of its backends into a separate
 * one. Parents are stopped before their children are listed, so that no child is created in the
 * meantime. On a busy machine a process keeps running for a while after the signal, so its threads
 * are checked until none is running.
 */
export const SIGNAL_TREE = `
runs() { cat "/proc/$1/task/"*/stat 2>/dev/null | sed 's/.*) //' | grep -q '^[^TtZX]'; }
signal_tree() {
  kill -s STOP "$2" 2>/dev/null || return 0
  while runs "$2"; do sleep 0.001; done
  for child in $(cat "/proc/$2/task/"*/children 2>/dev/null || pgrep -P "$2"); do
    signal_tree "$1" "$child"
  done
  kill -s "$1" "$2" 2>/dev/null && echo "$2"
}`;

export type TreeSignal = "STOP" | "CONT" | "KILL";

/** Signals a process and all its descendants; returns their ids when all are signalled. */
export function signalTree(signal: TreeSignal, pid: number): readonly number[] {
  const script = `${SIGNAL_TREE}\nsignal_tree "$1" "$2"`;
  const { error, stdout } = spawnSync("sh", ["-c", script, "sh", signal, String(pid)]);
  if (error !== undefined) throw error;
  return stdout.toString().split("\n").filter(Boolean).map(Number);
}

const GONE_WITHIN_MS = 60_000;

/**
 * Waits until all processes have ended. A killed process takes a moment to release its resources,
 * and Postgres does not start while a backend of the previous run holds the shared memory.
 */
export async function untilGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS;
  while (!pids.every(isGone)) {
    if (performance.now() > deadline)
      throw new Error(`killed, and still there: ${pids.join(", ")}`);
    await sleep(2);
  }
}

/** Whether the process has ended, or is a zombie that its parent has not reaped. */
function isGone(pid: number): boolean {
  try {
    if (!existsSync("/proc/self/stat")) return !process.kill(pid, 0);
    return /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return true;
    throw error;
  }
}
