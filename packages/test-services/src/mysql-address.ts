import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "./server-process.ts";

export interface MysqlAddress extends Address {
  /** A user with all privileges. */
  readonly user: string;
  /** Empty if the server that the environment names needs none. */
  readonly password: string;
  readonly uri: string;
}

const USER = "tests";

export function mysqlAddress(host: string, port: number, password: string): MysqlAddress {
  return { host, port, user: USER, password, uri: `mysql://${USER}:${password}@${host}:${port}` };
}

/**
 * Writes the file with the statements that a server runs at each start: a new server only has users
 * of its own host. Only the server's user can enter the directory.
 */
export function writeInitFile(directory: string, password: string): string {
  const file = join(directory, "init.sql");
  const statements = [
    `CREATE USER IF NOT EXISTS ${USER}@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL ON *.* TO ${USER}@'%' WITH GRANT OPTION;`,
  ];
  // It reads one statement a line.
  writeFileSync(file, statements.join("\n"));
  return file;
}
