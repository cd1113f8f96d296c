import { execFile } from "node:child_process";
import { existsSync, realpathSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute } from "node:path";
import { promisify } from "node:util";

/** The user of servers when the tests run as root, as in containers: Postgres refuses root. */
export const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/**
 * A command line that runs a program as that user, without capabilities, so that a client of a test
 * server cannot read root's files through it. There is one exception: if the repository, which
 * contains some of the programs, or the directory for temporary files is in a directory that only
 * root can enter.
 */
export function asUnprivileged(command: readonly string[]): readonly string[] {
  if (unprivileged === undefined) return command;
  const { uid, gid } = unprivileged;
  const programs = command
    .filter((part) => isAbsolute(part) && existsSync(part))
    .map((part) => dirname(realpathSync(part)));
  const isHidden = [tmpdir(), ...programs].some((directory) => !isReachable(directory));
  const capabilities = isHidden
    ? // Without the first bit, access(2) would ignore the capability.
      ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    : ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
  return [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    ...capabilities,
    ...command,
  ];
}

/** Whether that user can enter a directory and its parents. */
function isReachable(directory: string): boolean {
  for (let at = realpathSync(directory); ; at = dirname(at)) {
    const { uid, mode } = statSync(at);
    const mayEnter = uid === unprivileged?.uid ? 0o100 : 0o001;
    if ((mode & mayEnter) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a command as that user to its end. @throws an error with its output, if it fails */
export async function runUnprivileged(
  command: readonly string[],
  { cwd, env, input = "" }: RunOptions,
): Promise<void> {
  const [program, ...args] = asUnprivileged(command) as [string, ...string[]];
  const running = promisify(execFile)(program, args, { cwd, env: { ...process.env, ...env } });
  running.child.stdin?.end(input);
  await running;
}
