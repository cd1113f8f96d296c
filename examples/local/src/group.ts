import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startService, type ServiceName } from "./service.ts";

const SERVICES: Readonly<Record<string, ServiceName | undefined>> = {
  sqlite: undefined,
  postgres: "postgres",
  mysql: "mariadb",
  redis: "redis",
  dynamodb: "dynamodb",
};

/** `npm run example -- group`: many processes on one of the stores. Answers with the exit code. */
export async function runGroup(store: string): Promise<number> {
  if (!Object.hasOwn(SERVICES, store)) {
    console.error(`--store: one of ${Object.keys(SERVICES).join(", ")} is needed`);
    return 2;
  }
  const service = await startService(SERVICES[store]);
  const program = fileURLToPath(new URL("../../group/dist/group.js", import.meta.url));
  const child = spawn(process.execPath, [program, "--store", store], {
    env: {
      ...process.env,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
      ...service.env,
    },
    stdio: "inherit",
    // Ctrl-C is for this process to pass on.
    detached: true,
  });
  process.on("SIGINT", () => child.kill("SIGTERM"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  await once(child, "exit");
  await service.close();
  return child.exitCode ?? 1;
}
