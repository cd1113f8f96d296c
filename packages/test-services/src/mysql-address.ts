import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "./server-process.ts";

export interface MysqlAddress extends Address {
  /** May do everything and needs no password. */
  readonly user: string;
  readonly uri: string;
}

const USER = "tests";

export function mysqlAddress(host: string, port: number): MysqlAddress {
  return { host, port, user: USER, uri: `mysql://${USER}@${host}:${port}` };
}

/** The file with what a server does at each start: a new one knows only users of its own host. */
export function writeInitFile(directory: string): string {
  const file = join(directory, "init.sql");
  const statements = [
    `CREATE USER IF NOT EXISTS ${USER}@'%';`,
    `GRANT ALL ON *.* TO ${USER}@'%' WITH GRANT OPTION;`,
  ];
  // It reads one statement a line.
  writeFileSync(file, statements.join("\n"));
  return file;
}
