import { runProgram } from "./program.ts";
import { startService, type ServiceName } from "./service.ts";

const SERVICES: Readonly<Record<string, ServiceName | undefined>> = {
  sqlite: undefined,
  postgres: "postgres",
  mysql: "mariadb",
  redis: "redis",
  dynamodb: "dynamodb",
};

/** The examples with many processes, which run on any of these stores. */
export const CONDUCTED: readonly string[] = ["group", "projection"];

/** `npm run example -- group`: many processes on one of the stores. Returns the exit code. */
export async function runConducted(name: string, store: string, kills?: string): Promise<number> {
  if (!Object.hasOwn(SERVICES, store)) {
    console.error(`--store: one of ${Object.keys(SERVICES).join(", ")} is needed`);
    return 2;
  }
  const service = await startService(SERVICES[store]);
  const args = ["--store", store, ...(kills === undefined ? [] : ["--kills", kills])];
  const exitCode = await runProgram(`${name}/dist/${name}.js`, args, service.env);
  await service.close();
  return exitCode;
}
