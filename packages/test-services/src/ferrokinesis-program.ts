import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { onPath } from "./on-path.ts";

/** ferrokinesis is not installed on this machine. */
export class NoFerrokinesisError extends Error {
  override readonly name = "NoFerrokinesisError";
}

/**
 * The program at the location of `cargo install`. It is not compiled here, because that takes
 * minutes. @throws NoFerrokinesisError
 */
export function ferrokinesisProgram(): string {
  const installed = join(homedir(), ".cargo", "bin", "ferrokinesis");
  const program = onPath("ferrokinesis") ?? (existsSync(installed) ? installed : undefined);
  if (program !== undefined) return program;
  throw new NoFerrokinesisError(
    "No ferrokinesis: the emulator is not compared with it. " +
      "`cargo install ferrokinesis --version 0.7.0 --locked` installs it",
  );
}
