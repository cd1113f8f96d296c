import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Where the databases listen, as `npm run services` prints it. */
export interface Services extends AsyncDisposable {
  readonly postgres: string;
  readonly mariadb: string;
  /** Absent where it is not to be had. */
  readonly mysql?: string;
  readonly redis: string;
  readonly dynamodb: string;
}

/** Starts them in a process of their own, so that their CPU counts apart. */
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
