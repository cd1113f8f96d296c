import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Who servers run as when the tests run as root, as they do in containers: Postgres refuses root. */
export const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/**
 * A command line that runs a program as that user, who may still read every file: a repository
 * that was cloned into a directory which only root can enter holds some of the programs.
 */
export function asUnprivileged(command: readonly string[]): readonly string[] {
  if (unprivileged === undefined) return command;
  return [
    "setpriv",
    `--reuid=${unprivileged.uid}`,
    `--regid=${unprivileged.gid}`,
    "--clear-groups",
    // Without this bit, access(2) would not heed the capability.
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    ...command,
  ];
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Runs a command as that user to its end. @throws what it printed, if it fails */
export async function runUnprivileged(
  command: readonly string[],
  { cwd, env, input = "" }: RunOptions,
): Promise<void> {
  const [program, ...args] = asUnprivileged(command) as [string, ...string[]];
  const running = promisify(execFile)(program, args, { cwd, env: { ...process.env, ...env } });
  running.child.stdin?.end(input);
  await running;
}
