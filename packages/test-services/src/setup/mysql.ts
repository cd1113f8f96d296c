import type { TestProject } from "vitest/node";
import { NoMysqlError } from "../mysql-program.ts";
import { startMysql } from "../mysql.ts";
import { shared } from "./services.ts";

/** The only optional server: MariaDB replaces it. The run reports that it is missing. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  try {
    return await shared("mysql", startMysql, (server) => ({ ...server }))(project);
  } catch (error) {
    if (!(error instanceof NoMysqlError)) throw error;
    console.warn(`\n  ${error.message}\n`, error.cause);
    project.provide("mysql", undefined);
    return async () => undefined;
  }
}
