#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { banner } from "./cli/banner.ts";
import { parseCommandLine, usage } from "./cli/command-line.ts";
import type { Settings } from "./cli/settings.ts";
import { UsageError } from "./cli/usage-error.ts";
import { startEmulator } from "./emulator.ts";
import { planFault } from "./fault-rule.ts";
import { formatLogEntry } from "./http/request-log.ts";

try {
  const command = parseCommandLine(process.argv.slice(2), process.env);
  if (command === "help") process.stdout.write(usage);
  else if (command === "version") process.stdout.write(`${version()}\n`);
  else await run(command);
} catch (error) {
  report(error);
  if (error instanceof UsageError) process.stderr.write("Try --help.\n");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function run({ options, faults, log }: Settings): Promise<void> {
  const emulator = await startEmulator({
    ...options,
    ...(log ? { onRequest: (entry) => process.stdout.write(`${formatLogEntry(entry)}\n`) } : {}),
  });
  for (const rule of faults) planFault(emulator.kinesis.faults, rule);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      emulator.close().catch((error: unknown) => {
        report(error);
        process.exitCode = 1;
      });
    });
  }
  process.stdout.write(banner(emulator.url, options.region ?? "us-east-1", emulator.streams));
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function report(error: unknown): void {
  process.stderr.write(`kc-emulator: ${error instanceof Error ? error.message : String(error)}\n`);
}
