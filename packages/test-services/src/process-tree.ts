import { spawnSync } from "node:child_process";

/**
 * A shell function: `signal_tree SIGNAL PID` signals a process and all its descendants. A process
 * group would not do: Postgres puts each of its backends into one of its own. Parents are stopped
 * before their children are listed, so that none is born meanwhile.
 */
export const SIGNAL_TREE = `
signal_tree() {
  kill -s STOP "$2" 2>/dev/null || return 0
  for child in $(cat "/proc/$2/task/"*/children 2>/dev/null || pgrep -P "$2"); do
    signal_tree "$1" "$child"
  done
  kill -s "$1" "$2" 2>/dev/null
}`;

export type TreeSignal = "STOP" | "CONT" | "KILL";

/** Signals a process and all its descendants; returns when all are signalled. */
export function signalTree(signal: TreeSignal, pid: number): void {
  const script = `${SIGNAL_TREE}\nsignal_tree "$1" "$2"`;
  const { error } = spawnSync("sh", ["-c", script, "sh", signal, String(pid)]);
  if (error !== undefined) throw error;
}
