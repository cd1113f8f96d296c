import type { TestProject } from "vitest/node";
import type { Services } from "./addresses.ts";
import { addressFromEnvironment, VARIABLES } from "./environment.ts";

/**
 * A global set-up of vitest: one server for all tests of a project, either the one that the
 * environment names or a private one.
 */
export function shared<Name extends keyof Services, Server extends Services[Name] & Closable>(
  name: Name,
  start: () => Promise<Server>,
  addressOf: (server: Server) => Services[Name],
): (project: TestProject) => Promise<() => Promise<void>> {
  return async (project) => {
    const given = addressFromEnvironment(name, process.env);
    if (given !== undefined) {
      console.log(`  ${name}: the one that ${VARIABLES[name]} names`);
      project.provide(name, given);
      return async () => undefined;
    }
    const server = await start();
    // Tests run in other processes; to break a server, they start a private one.
    project.provide(name, addressOf(server));
    return () => server.close();
  };
}

interface Closable {
  close(): Promise<void>;
}
