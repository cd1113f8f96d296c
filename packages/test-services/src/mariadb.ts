import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { type MysqlAddress, mysqlAddress, writeInitFile } from "./mysql-address.ts";
import { joinPaths, type Program, program } from "./programs.ts";
import { randomPassword } from "./random-password.ts";
import { type Lifecycle, launch } from "./server-process.ts";
import { runUnprivileged } from "./unprivileged.ts";
import { openWorkplace } from "./workplace.ts";

export interface MariadbServer extends MysqlAddress, Lifecycle {}

/** `settings`: the rest of its command line, such as `--lower-case-table-names=1`. */
export function startMariadb(settings: readonly string[] = []): Promise<MariadbServer> {
  return launchMariadb({ name: "MariaDB", ready: "ready for connections", settings });
}

export interface MariadbLaunch {
  readonly name: string;
  /** The output that shows that it is ready. */
  readonly ready: string;
  /** The rest of its command line. */
  readonly settings?: readonly string[];
  /** Environment variables, for the programs that it starts. */
  readonly env?: Readonly<Record<string, string>>;
  /** All nodes of a cluster have the same users. @default a random one */
  readonly password?: string;
}

export async function launchMariadb({
  name,
  ready,
  settings = [],
  env = {},
  password = randomPassword(),
}: MariadbLaunch): Promise<MariadbServer> {
  const mariadbd = await program("mariadbd");
  const base = dirname(dirname(mariadbd.path));
  const workplace = openWorkplace("mariadb");
  const common = [
    "--no-defaults",
    `--basedir=${base}`,
    `--datadir=${workplace.data}`,
    // At its start it deletes all temporary tables in this directory, also those of other servers.
    `--tmpdir=${workplace.directory}`,
    // Each test creates tables, and half of that time was waiting for the disk. Syncing only
    // matters in a power failure.
    "--innodb-flush-method=nosync",
  ];
  await createSystemTables(mariadbd, base, common, workplace.directory);

  const host = "127.0.0.1";
  const port = await freePort();
  const server = await launch({
    name,
    workplace,
    command: [
      mariadbd.path,
      ...common,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--socket=${join(workplace.directory, "socket")}`,
      `--pid-file=${join(workplace.directory, "pid")}`,
      `--init-file=${writeInitFile(workplace.directory, password)}`,
      "--skip-name-resolve",
      // Written at each commit, so that it survives kill -9, but not synced.
      "--innodb-flush-log-at-trx-commit=2",
      ...settings,
    ],
    env: joinPaths(mariadbd.env, env),
    ready: (output) => output.includes(ready),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, mysqlAddress(host, port, password));
}

/** Does the same as `mariadb-install-db`, which needs programs of other packages. */
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
    input: [
      "CREATE DATABASE mysql;",
      "USE mysql;", // Root without a password would be the machine's user of that name, which does not exist.
      "SET @auth_root_socket = 'no-user';",
      ...sql,
    ].join("\n"),
  });
}
