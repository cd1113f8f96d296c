import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import type { PostgresAddress } from "./postgres.ts";
import { program } from "./programs.ts";
import { type Lifecycle, launch } from "./server-process.ts";
import { openWorkplace } from "./workplace.ts";

/** Forwards to any database; the one named `pgbouncer` is its own console. */
export interface PgBouncerServer extends PostgresAddress, Lifecycle {}

export interface PgBouncerOptions {
  /** The connections to Postgres for each database. @default 20 */
  readonly poolSize?: number;
  /** For how long a client gets a connection to Postgres. @default "transaction" */
  readonly poolMode?: "transaction" | "statement";
}

export async function startPgBouncer(
  postgres: PostgresAddress,
  { poolSize = 20, poolMode = "transaction" }: PgBouncerOptions = {},
): Promise<PgBouncerServer> {
  const { path, env } = await program("pgbouncer");
  const { user, password, database } = postgres;
  const host = "127.0.0.1";
  const port = await freePort();
  const workplace = openWorkplace("pgbouncer");
  const configuration = join(workplace.directory, "pgbouncer.ini");
  // Only the server's user can enter the directory.
  const users = join(workplace.directory, "users.txt");
  writeFileSync(users, `"${user}" "${password}"\n`);
  writeFileSync(
    configuration,
    `[databases]
* = host=${postgres.host} port=${postgres.port} user=${user}
[pgbouncer]
listen_addr = ${host}
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
admin_users = ${user}
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
max_client_conn = 1000
`,
  );
  const server = await launch({
    name: "PgBouncer",
    workplace,
    command: [path, configuration],
    env,
    ready: (output) => output.includes("process up"),
    stopSignal: "SIGTERM",
  });
  const connectionString = `postgresql://${user}:${password}@${host}:${port}/${database}`;
  return Object.assign(server, { host, port, user, password, database, connectionString });
}
