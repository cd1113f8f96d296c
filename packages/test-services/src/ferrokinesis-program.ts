import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onPath } from "./on-path.ts";

const run = promisify(execFile);

const VERSION = "0.7.0";

/** Shared by all checkouts, since it is compiled for minutes. */
const ROOT = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  `kc-test-services/ferrokinesis-${VERSION}`,
);

/** ferrokinesis cannot be compiled on this machine. */
export class NoFerrokinesisError extends Error {
  override readonly name = "NoFerrokinesisError";
}

/** Compiles ferrokinesis, once for this machine: two minutes of CPU. @throws NoFerrokinesisError */
export async function ferrokinesisProgram(): Promise<string> {
  const path = join(ROOT, "bin", "ferrokinesis");
  if (existsSync(path)) return path;
  const cargo = onPath("cargo") ?? join(homedir(), ".cargo", "bin", "cargo");
  const crate = ["ferrokinesis", "--version", VERSION, "--locked"];
  try {
    // At the least priority: other tests run beside it. Without debug information it is quicker.
    const install = ["-n", "19", cargo, "install", ...crate, "--debug", "--quiet", "--root", ROOT];
    await run("nice", install, { env: { ...process.env, CARGO_PROFILE_DEV_DEBUG: "0" } });
  } catch (cause) {
    throw new NoFerrokinesisError(
      `No ferrokinesis ${VERSION}: install Rust to have the emulator compared with it`,
      { cause },
    );
  }
  return path;
}
