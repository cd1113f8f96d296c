import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { unpackPackages } from "./debian.ts";
import { onPath } from "./on-path.ts";

const run = promisify(execFile);

export interface MysqlProgram {
  readonly command: readonly string[];
  readonly base: string;
}

/** The real MySQL is not available on this machine. MariaDB replaces it. */
export class NoMysqlError extends Error {
  override readonly name = "NoMysqlError";
}

/**
 * Oracle's MySQL: an installed one, or that of Debian's unstable suite, the only suite with it,
 * including all its libraries down to the C library. @throws NoMysqlError
 */
export async function mysqlProgram(): Promise<MysqlProgram> {
  const installed = onPath("mysqld");
  // MariaDB's packages install a link with this name.
  if (
    installed !== undefined &&
    !(await run(installed, ["--version"])).stdout.includes("MariaDB")
  ) {
    return { command: [installed], base: join(installed, "../..") };
  }
  const root = await unpackMysql();
  const libraries = readdirSync(join(root, "usr/lib"))
    .filter((each) => each.includes("-linux-"))
    .map((each) => join(root, "usr/lib", each));
  const loader = libraries
    .flatMap((directory) => readdirSync(directory).map((file) => join(directory, file)))
    .find((file) => /\/ld-linux[^/]*$/.test(file));
  if (loader === undefined) throw new Error(`No dynamic loader in ${root}`);
  const base = join(root, "usr");
  const mysqld = join(base, "sbin", "mysqld");
  return { command: [loader, "--library-path", libraries.join(":"), mysqld], base };
}

async function unpackMysql(): Promise<string> {
  try {
    return await unpackPackages("debian-sid-mysql", ["mysql-server-core"], await sid());
  } catch (cause) {
    throw new NoMysqlError(
      "No real MySQL: install mysql-server (MySQL's own, not MariaDB's) to run the tests on it too",
      { cause },
    );
  }
}

/** The unstable suite, at this machine's own package mirror. */
async function sid(): Promise<{ sources: string }> {
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  if (!existsSync(keyring)) throw new Error("this is no Debian");
  const filter = ["Created-By: Packages", "Label: Debian", "Component: main"];
  const format = ["--format", "$(REPO_URI)"];
  const { stdout } = await run("apt-get", ["indextargets", ...format, ...filter]);
  const [mirror] = stdout.split("\n");
  if (mirror === undefined || mirror === "") throw new Error("no mirror of Debian is known");
  return { sources: `deb [signed-by=${keyring}] ${mirror} sid main\n` };
}
