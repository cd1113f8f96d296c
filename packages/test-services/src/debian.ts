import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import {
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { CACHE } from "./cache.ts";

const run = promisify(execFile);

/** The source of packages. */
export interface Suite {
  /** Lines of apt's list of sources, instead of this machine's. */
  readonly sources: string;
}

/**
 * A directory under the cache with the files of Debian or Ubuntu packages and of their
 * dependencies: those that are not installed or, from another suite, all of them. They are
 * unpacked, not installed: this needs no root permissions, starts no system service, and changes
 * nothing outside of the directory.
 */
export function unpackPackages(
  name: string,
  packages: readonly string[],
  suite?: Suite,
): Promise<string> {
  const before = underWay.get(name);
  if (before !== undefined) return before;
  const unpacking = unpack(name, packages, suite);
  underWay.set(name, unpacking);
  return unpacking;
}

/** Shared by servers that start concurrently and need the same packages. */
const underWay = new Map<string, Promise<string>>();

async function unpack(
  name: string,
  packages: readonly string[],
  suite: Suite | undefined,
): Promise<string> {
  const unpacked = join(CACHE, name);
  if (existsSync(unpacked)) return unpacked;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, `${name}-`));
  try {
    const archives = await download(work, packages, suite);
    const root = join(work, "root");
    for (const archive of archives) await run("dpkg-deb", ["--extract", archive, root]);
    await rm(join(root, "usr/share/doc"), { recursive: true, force: true });
    await relink(root, root);
    await rename(root, unpacked).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(unpacked)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return unpacked;
}

/** Uses apt's configuration with separate lists and archives, which needs no root permissions. */
async function download(
  work: string,
  packages: readonly string[],
  suite: Suite | undefined,
): Promise<string[]> {
  const archives = join(work, "cache", "archives");
  await mkdir(join(work, "lists", "partial"), { recursive: true });
  await mkdir(join(archives, "partial"), { recursive: true });
  const settings = [
    `Dir::State::lists=${join(work, "lists")}`,
    `Dir::Cache=${join(work, "cache")}`,
    "Debug::NoLocking=true",
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ];
  if (suite !== undefined) {
    const sources = join(work, "sources.list");
    await writeFile(sources, suite.sources);
    settings.push(
      `Dir::Etc::sourcelist=${sources}`,
      "Dir::Etc::sourceparts=-",
      // As if nothing were installed.
      "Dir::State::status=/dev/null",
    );
  }
  const options = settings.flatMap((setting) => ["-o", setting]);
  await run("apt-get", ["-qq", ...options, "update"]);
  const install = ["install", "--no-install-recommends", "--download-only"];
  await run("apt-get", ["-qq", "-y", ...options, ...install, ...packages]);
  const files = await readdir(archives);
  return files.filter((file) => file.endsWith(".deb")).map((file) => join(archives, file));
}

/** Rewrites absolute links so that they lead into the directory. */
async function relink(root: string, directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await relink(root, path);
    if (!entry.isSymbolicLink()) continue;
    const target = await readlink(path);
    if (!target.startsWith("/") || !existsSync(join(root, target))) continue;
    await rm(path);
    await symlink(relative(directory, join(root, target)), path);
  }
}
