import { runProgram } from "./program.ts";
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
  const exitCode = await runProgram("group/dist/group.js", ["--store", store], service.env);
  await service.close();
  return exitCode;
}
