import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { NoPythonError, pythonWithAws } from "@kc-internal/test-services";
import type { TestContext } from "vitest";

const run = promisify(execFile);

/** What a Python program prints; its arguments are those of `python`. */
export type Python = (args: readonly string[], env?: Record<string, string>) => Promise<string>;

/** Runs Python with AWS's own clients; skips the test, and says so, where there is none. */
export async function python(context: TestContext): Promise<Python> {
  let path: string;
  try {
    path = await pythonWithAws();
  } catch (error) {
    if (!(error instanceof NoPythonError)) throw error;
    console.warn(error.message);
    context.skip(error.message);
    throw error;
  }
  return async (args, env = {}) => {
    const { stdout } = await run(path, args, {
      env: { PATH: process.env["PATH"] ?? "", ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
}
