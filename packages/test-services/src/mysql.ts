import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { type MysqlAddress, mysqlAddress, writeInitFile } from "./mysql-address.ts";
import { mysqlProgram } from "./mysql-program.ts";
import { randomPassword } from "./random-password.ts";
import { type Lifecycle, launch } from "./server-process.ts";
import { runUnprivileged } from "./unprivileged.ts";
import { openWorkplace } from "./workplace.ts";

export interface MysqlServer extends MysqlAddress, Lifecycle {}

/**
 * Oracle's MySQL. `settings`: additional command-line arguments, from its first start on.
 * @throws NoMysqlError if it is not available on this machine
 */
export async function startMysql(settings: readonly string[] = []): Promise<MysqlServer> {
  const { command, base } = await mysqlProgram();
  const workplace = openWorkplace("mysql");
  const mysqld = [
    ...command,
    "--no-defaults",
    "--secure-file-priv=NULL",
    `--basedir=${base}`,
    `--datadir=${workplace.data}`,
    // Each test creates tables, and half of that time was waiting for the disk. Syncing only
    // matters in a power failure.
    "--innodb-flush-method=nosync",
    ...settings,
  ];
  // Its root has no password, and can connect only through the socket, which is in a directory that
  // no other user can enter.
  await runUnprivileged([...mysqld, "--initialize-insecure"], { cwd: workplace.directory });
  const password = randomPassword();

  const host = "127.0.0.1";
  const port = await freePort();
  const server = await launch({
    name: "MySQL",
    workplace,
    command: [
      ...mysqld,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--socket=${join(workplace.directory, "socket")}`,
      `--pid-file=${join(workplace.directory, "pid")}`,
      `--init-file=${writeInitFile(workplace.directory, password)}`,
      "--mysqlx=OFF",
      "--skip-name-resolve",
      "--skip-log-bin",
      // Written at each commit, so that it survives kill -9, but not synced.
      "--innodb-flush-log-at-trx-commit=2",
    ],
    ready: (output) => output.includes("ready for connections"),
    stopSignal: "SIGTERM",
  });
  return Object.assign(server, mysqlAddress(host, port, password));
}
