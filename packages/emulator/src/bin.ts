#!/usr/bin/env node
import { parseCommandLine, usage, UsageError } from "./cli.ts";
import { startEmulator } from "./emulator.ts";

try {
  const options = parseCommandLine(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
  } else {
    const emulator = await startEmulator(options);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => void emulator.close());
    }
    process.stdout.write(
      `Kinesis emulator: new KinesisClient({ endpoint: "${emulator.url}", region: "us-east-1", ` +
        `credentials: { accessKeyId: "any", secretAccessKey: "any" } })\n`,
    );
  }
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`kc-emulator: ${message}\n`);
  if (error instanceof UsageError) process.stderr.write("Try --help.\n");
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
