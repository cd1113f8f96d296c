import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The databases' addresses, as `npm run services` prints them. */
export interface Services extends AsyncDisposable {
  readonly postgres: string;
  readonly mariadb: string;
  /** Absent if it is not available. */
  readonly mysql?: string;
  readonly redis: string;
  readonly dynamodb: string;
}

/** Starts them in a separate process, so that their CPU is counted separately. */
export async function startServices(): Promise<Services> {
  const program = fileURLToPath(new URL("../../test-services/dist/main.js", import.meta.url));
  const child = spawn(process.execPath, [program, "--json"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return {
    ...(JSON.parse(line) as Omit<Services, keyof AsyncDisposable>),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, "exit");
    },
  };
}
