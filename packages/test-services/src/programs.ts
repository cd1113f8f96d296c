import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { unpackPackages } from "./debian.ts";
import { onPath } from "./on-path.ts";

/**
 * The programs that are not in npm packages, and the Debian and Ubuntu packages that contain them.
 */
const PACKAGES = {
  "redis-server": "redis-server",
  mariadbd: "mariadb-server-core",
  pgbouncer: "pgbouncer",
  java: "default-jre-headless",
} as const;

export type ProgramName = keyof typeof PACKAGES;

export interface Program {
  readonly path: string;
  /** The environment variables with which it finds its libraries. */
  readonly env: Readonly<Record<string, string>>;
}

/** An installed program; a missing one is fetched, together with all other missing ones. */
export async function program(name: ProgramName): Promise<Program> {
  const path = onPath(name);
  if (path !== undefined) return { path, env: {} };
  const names = Object.keys(PACKAGES) as ProgramName[];
  const missing = names.filter((each) => onPath(each) === undefined);
  const packages = missing.map((each) => PACKAGES[each]);
  const root = await unpackPackages(`debian-${missing.join("-")}`, packages).catch(
    (cause: unknown) => {
      throw new Error(
        `The tests need ${missing.join(", ")}, and apt could not fetch them. ` +
          `Install these packages, or what they are called here: ${packages.join(" ")}`,
        { cause },
      );
    },
  );
  const unpacked = binaries(root).map((directory) => join(directory, name));
  return { path: found(unpacked, name), env: { LD_LIBRARY_PATH: libraries(root) } };
}

/** Joins search paths: the first one's directories, then the second one's. */
export function joinPaths(a: Program["env"], b: Program["env"]): Program["env"] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  const joined = (name: string): string =>
    [a[name], b[name]].filter((each) => each !== undefined).join(delimiter);
  return Object.fromEntries([...names].map((name) => [name, joined(name)]));
}

/** The search paths of programs and libraries in unpacked packages. */
export function environmentOf(root: string): Program["env"] {
  const path = [...binaries(root), process.env["PATH"]].join(delimiter);
  return { PATH: path, LD_LIBRARY_PATH: libraries(root) };
}

function found(paths: readonly string[], name: string): string {
  const path = paths.find((each) => existsSync(each));
  if (path === undefined) throw new Error(`No ${name} among ${paths.join(", ")}`);
  return path;
}

function binaries(root: string): string[] {
  const jvm = join(root, "usr/lib/jvm");
  const jvms = existsSync(jvm) ? readdirSync(jvm).map((each) => `usr/lib/jvm/${each}/bin`) : [];
  return ["usr/bin", "usr/sbin", ...jvms].map((each) => join(root, each));
}

function libraries(root: string): string {
  const architecture = (each: string): boolean => each.includes("-linux-");
  return ["lib", "usr/lib"]
    .map((each) => join(root, each))
    .filter((directory) => existsSync(directory))
    .flatMap((directory) =>
      readdirSync(directory)
        .filter(architecture)
        .map((each) => join(directory, each)),
    )
    .join(delimiter);
}
