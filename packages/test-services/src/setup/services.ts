import type { TestProject } from "vitest/node";
import type { PostgresAddress } from "../postgres.ts";
import type { RedisAddress } from "../redis.ts";
import type { Lifecycle } from "../server-process.ts";

/** What the modules beside this one provide: `inject("redis")` in a test is that server's address. */
export interface Services {
  readonly postgres: PostgresAddress;
  readonly redis: RedisAddress;
}

declare module "vitest" {
  interface ProvidedContext extends Services {}
}

/** A global set-up of vitest: one server for all tests of a project. */
export function shared<Name extends keyof Services>(
  name: Name,
  start: () => Promise<Services[Name] & Lifecycle>,
): (project: TestProject) => Promise<() => Promise<void>> {
  return async (project) => {
    const server = await start();
    // Without the methods: tests run in another process. To break a server, they start their own.
    const address: Services[Name] = { ...server };
    project.provide(name, address);
    return () => server.close();
  };
}
