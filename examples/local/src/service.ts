import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createConnection } from "mysql2/promise";

export type ServiceName = "postgres" | "mariadb" | "redis" | "dynamodb";

/** A database for one run, and the environment variables with its address. */
export interface Service {
  readonly says: string;
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts a private server, as `npm run services` does, if the example needs one. */
export async function startService(name: ServiceName | undefined): Promise<Service> {
  if (name === undefined) return { says: "", env: {}, close: async () => {} };
  const program = new URL("../../../packages/test-services/dist/main.js", import.meta.url);
  const child = spawn(process.execPath, [fileURLToPath(program), "--json", "--only", name], {
    stdio: ["pipe", "pipe", "inherit"],
    // Ends when its standard input ends, not at Ctrl-C, because the consumer still needs it then.
    detached: true,
  });
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    once(child, "exit").then(([code]) => {
      throw new Error(`${name} did not start: exit code ${String(code)}`);
    }),
  ])) as [string];
  const url = (JSON.parse(line) as Record<ServiceName, string>)[name];
  return {
    says: `, ${name} at ${url}`,
    env: await ENV[name](url),
    close: async () => {
      const exit = once(child, "exit");
      child.stdin.end();
      await exit;
    },
  };
}

/** The environment variables with which each example finds its database. */
const ENV: Readonly<Record<ServiceName, (url: string) => Promise<Record<string, string>>>> = {
  postgres: async (url) => ({ DATABASE_URL: url }),
  mariadb: async (url) => {
    const connection = await createConnection(url);
    await connection.query("CREATE DATABASE IF NOT EXISTS example");
    await connection.end();
    return { DATABASE_URL: `${url}/example` };
  },
  redis: async (url) => ({ REDIS_URL: url }),
  dynamodb: async (url) => ({ AWS_ENDPOINT_URL_DYNAMODB: url }),
};
