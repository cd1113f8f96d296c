import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CACHE } from "./cache.ts";

const run = promisify(execFile);

/** AWS's own clients: the library for Python, and the command line. */
const PACKAGES = ["boto3==1.44.8", "awscli==1.46.3"];

/** Python with the packages is not available on this machine. */
export class NoPythonError extends Error {
  override readonly name = "NoPythonError";
}

/**
 * A Python that has `boto3` and, as `-m awscli`, the AWS CLI: a virtual environment in the cache.
 * @throws NoPythonError
 */
export async function pythonWithAws(): Promise<string> {
  const environment = join(CACHE, `python-${PACKAGES.join("-").replaceAll("==", "-")}`);
  const python = join(environment, "bin", "python");
  if (existsSync(python)) return python;
  try {
    await mkdir(CACHE, { recursive: true });
    const work = await mkdtemp(join(CACHE, "python-"));
    try {
      await run("python3", ["-m", "venv", work]);
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      await run(join(work, "bin", "python"), [...pip, ...PACKAGES]);
      await rename(work, environment).catch((error: unknown) => {
        // Another process was faster.
        if (!existsSync(python)) throw error;
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (cause) {
    const packages = PACKAGES.join(" and ");
    throw new NoPythonError(`No Python with ${packages}: install python3 with venv and pip`, {
      cause,
    });
  }
  return python;
}
