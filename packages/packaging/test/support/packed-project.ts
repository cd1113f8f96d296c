import { execFile } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./markdown.ts";

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly packageManager: string;
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

const manifestOf = (directory: string): Manifest =>
  JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;

/** The names of the published packages. */
export const PUBLISHED: readonly string[] = readdirSync(join(ROOT, "packages"))
  .map((name) => manifestOf(join(ROOT, "packages", name)))
  .filter((manifest) => !manifest.private)
  .map(({ name }) => name);

/** The tools of `tools/package.json`. They are kept: the next install finds them and is over at once. */
const TOOLS = join(ROOT, "packages/packaging/dist/tools");
const INSTALL = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];

/** The path of a tool's file. */
export const tool = (path: string): string => join(TOOLS, "node_modules", path);

async function run(
  cwd: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Output> {
  try {
    // What warns there is not ours, but the user's tool.
    const all = { ...process.env, NODE_OPTIONS: undefined, ...env };
    return await promisify(execFile)(program, args, { cwd, env: all });
  } catch (error) {
    const { stdout, stderr } = error as Output;
    throw new Error(`${program} ${args.join(" ")}\n${stdout}\n${stderr}`, { cause: error });
  }
}

async function installTools(): Promise<void> {
  mkdirSync(TOOLS, { recursive: true });
  copyFileSync(join(TOOLS, "../../tools/package.json"), join(TOOLS, "package.json"));
  await run(TOOLS, "npm", INSTALL);
  // Bun's package puts the platform's binary in its place.
  await run(TOOLS, process.execPath, [tool("bun/install.js")]);
}

/** A user's project, with every published package installed from its tarball. */
export class PackedProject {
  readonly directory: string = mkdtempSync(join(tmpdir(), "kc-install-"));

  static async create(): Promise<PackedProject> {
    const project = new PackedProject();
    await Promise.all([project.#install(), installTools()]);
    // What a user would have installed beside the packages.
    for (const name of ["@rollup", "@swc"]) {
      symlinkSync(tool(name), join(project.directory, "node_modules", name));
    }
    return project;
  }

  async #install(): Promise<void> {
    const tarballs = join(this.directory, "tarballs");
    const filters = PUBLISHED.flatMap((name) => ["--filter", name]);
    const pack = [...filters, "-r", "pack", "--pack-destination", tarballs];
    await run(ROOT, "npx", ["-y", manifestOf(ROOT).packageManager, ...pack]);
    const files = readdirSync(tarballs).map((file) => `./tarballs/${file}`);
    if (files.length !== PUBLISHED.length) throw new Error(`packed: ${files.join(", ")}`);
    this.write("package.json", JSON.stringify({ name: "empty", private: true }));
    await this.run("npm", [...INSTALL, ...files]);
  }

  write(file: string, text: string): void {
    const path = join(this.directory, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** Runs a program in the project. An error's message has all that it printed. */
  async run(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Output> {
    return run(this.directory, program, args, env);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
