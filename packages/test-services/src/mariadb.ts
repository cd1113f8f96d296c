import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { type MysqlAddress, mysqlAddress, writeInitFile } from "./mysql-address.ts";
import { type Program, program } from "./programs.ts";
import { type Lifecycle, launch } from "./server-process.ts";
import { runUnprivileged } from "./unprivileged.ts";
import { openWorkplace } from "./workplace.ts";

export interface MariadbServer extends MysqlAddress, Lifecycle {}

export async function startMariadb(): Promise<MariadbServer> {
  const mariadbd = await program("mariadbd");
  const base = dirname(dirname(mariadbd.path));
  const workplace = openWorkplace("mariadb");
  const common = [
    "--no-defaults",
    `--basedir=${base}`,
    `--datadir=${workplace.data}`,
    // At its start it deletes the temporary tables there, whosesoever they are.
    `--tmpdir=${workplace.directory}`,
  ];
  await createSystemTables(mariadbd, base, common, workplace.directory);

  const host = "127.0.0.1";
  const port = await freePort();
  const server = await launch({
    name: "MariaDB",
    workplace,
    command: [
      mariadbd.path,
      ...common,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--socket=${join(workplace.directory, "socket")}`,
      `--pid-file=${join(workplace.directory, "pid")}`,
      `--init-file=${writeInitFile(workplace.directory)}`,
      "--skip-name-resolve",
      // Written at each commit, so that it survives kill -9, but not synced.
      "--innodb-flush-log-at-trx-commit=2",
    ],
    env: mariadbd.env,
    ready: (output) => output.includes("ready for connections"),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, mysqlAddress(host, port));
}

/** As `mariadb-install-db` does, which asks for programs of other packages. */
async function createSystemTables(
  { path, env }: Program,
  base: string,
  common: readonly string[],
  directory: string,
): Promise<void> {
  const share = ["share/mysql", "share/mariadb"]
    .map((each) => join(base, each))
    .find((each) => existsSync(join(each, "mysql_system_tables.sql")));
  if (share === undefined) throw new Error(`No system tables for MariaDB under ${base}/share`);
  const files = [
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
  ];
  const sql = await Promise.all(files.map((file) => readFile(join(share, file), "utf8")));
  await runUnprivileged([path, ...common, "--bootstrap", "--max-allowed-packet=8M"], {
    cwd: directory,
    env,
    input: ["CREATE DATABASE mysql;", "USE mysql;", "SET @auth_root_socket = NULL;", ...sql].join(
      "\n",
    ),
  });
}
