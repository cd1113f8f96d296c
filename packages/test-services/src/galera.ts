import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { unpackPackages } from "./debian.ts";
import { freePort } from "./free-port.ts";
import { launchMariadb, type MariadbServer } from "./mariadb.ts";
import { environmentOf, program } from "./programs.ts";
import { randomPassword } from "./random-password.ts";

/** Galera is not available on this machine. */
export class NoGaleraError extends Error {
  override readonly name = "NoGaleraError";
}

export interface GaleraCluster extends AsyncDisposable {
  /** Both accept writes. */
  readonly nodes: readonly [MariadbServer, MariadbServer];
}

/** Two nodes of MariaDB that replicate to each other. @throws NoGaleraError */
export async function startGalera(): Promise<GaleraCluster> {
  const { provider, env } = await galera();
  const { path } = await program("mariadbd");
  const password = randomPassword();
  const started: MariadbServer[] = [];
  const close = async (): Promise<void> => {
    for (const each of started.toReversed()) await each.close();
  };
  const start = async (name: string, peer: number | undefined, port: number) => {
    const server = await launchMariadb({
      name,
      password,
      ready: "Synchronized with group, ready for connections",
      // Its scripts also call the server's program.
      env: { ...env, PATH: `${dirname(path)}:${env["PATH"]}` },
      settings: [
        "--wsrep-on=ON",
        `--wsrep-provider=${provider}`,
        `--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:${port};ist.recv_addr=127.0.0.1:${await freePort()};gcache.size=16M`,
        `--wsrep-cluster-address=gcomm://${peer === undefined ? "" : `127.0.0.1:${peer}`}`,
        `--wsrep-node-address=127.0.0.1:${port}`,
        `--wsrep-sst-receive-address=127.0.0.1:${await freePort()}`,
        "--wsrep-sst-method=rsync",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
      ],
    });
    started.push(server);
    return server;
  };
  try {
    const port = await freePort();
    const first = await start("Galera's first node", undefined, port);
    const second = await start("Galera's second node", port, await freePort());
    return { nodes: [first, second], [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

const PROVIDER = "/usr/lib/galera/libgalera_smm.so";

/** The library, and the scripts with which a new node gets the data. */
async function galera(): Promise<{
  readonly provider: string;
  readonly env: Readonly<Record<string, string>>;
}> {
  if (existsSync(PROVIDER) && existsSync("/usr/bin/wsrep_sst_rsync")) {
    return { provider: PROVIDER, env: { PATH: process.env["PATH"] ?? "" } };
  }
  try {
    const root = await unpackPackages("debian-galera", ["galera-4", "mariadb-server", "rsync"]);
    return { provider: join(root, PROVIDER), env: environmentOf(root) };
  } catch (cause) {
    throw new NoGaleraError(
      "No Galera: install galera-4, mariadb-server and rsync to run the tests on a cluster too",
      { cause },
    );
  }
}
