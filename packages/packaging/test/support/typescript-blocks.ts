import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { blocks, ROOT, type Block } from "./markdown.ts";

const PACKAGE = join(ROOT, "packages/packaging");

/** A block in a file of its own. */
export interface WrittenBlock extends Block {
  readonly path: string;
}

/**
 * The documents' TypeScript, one file a block, in a directory that is no part of the repository. A
 * block stands at the line where its document has it, so that an error names the right one.
 * - `ts`: a whole program, type-checked in strict mode against the sources;
 * - `ts test`: the same, and its tests are run;
 * - `ts fragment`: parsed only.
 */
export interface BlockProject {
  readonly directory: string;
  readonly programs: readonly WrittenBlock[];
  readonly fragments: readonly WrittenBlock[];
}

export function writeBlocks(files: readonly string[]): BlockProject {
  mkdirSync(join(PACKAGE, "dist"), { recursive: true });
  const directory = mkdtempSync(join(PACKAGE, "dist", "docs-"));
  const all = files.flatMap(blocks);
  const write = (kind: "programs" | "fragments", infos: readonly string[]): WrittenBlock[] => {
    mkdirSync(join(directory, kind));
    writeTsconfig(join(directory, kind), kind === "fragments");
    return all
      .filter(({ info }) => infos.includes(info))
      .map((block) => {
        const name = `${block.file.replaceAll("/", "+")}+${block.line}.ts`;
        const path = join(directory, kind, name);
        // A module even without an import, so that blocks share no names.
        writeFileSync(path, `${"\n".repeat(block.line - 1)}${block.text}export {};\n`);
        return { ...block, path };
      });
  };
  return {
    directory,
    programs: write("programs", ["ts", "ts test"]),
    fragments: write("fragments", ["ts fragment"]),
  };
}

/** The compiler's complaints, one a line. */
export function complaints(directory: string): string[] {
  const compiler = join(ROOT, "node_modules/.bin/tsc");
  const { stdout, stderr } = spawnSync(compiler, ["-p", directory], {
    cwd: directory,
    encoding: "utf8",
  });
  return `${stdout}${stderr}`.split("\n").filter((line) => /\berror\b/i.test(line));
}

function writeTsconfig(directory: string, noCheck: boolean): void {
  const tsconfig = {
    extends: join(ROOT, "tsconfig.base.json"),
    compilerOptions: {
      noEmit: true,
      declaration: false,
      declarationMap: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      noCheck,
      paths: driverPaths(),
    },
    include: ["*.ts"],
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(tsconfig));
}

/** A package's README may use its package's driver, which this package does not depend on. */
function driverPaths(): Record<string, [string]> {
  const paths: Record<string, [string]> = {};
  for (const name of readdirSync(join(ROOT, "packages"))) {
    const directory = join(ROOT, "packages", name);
    const { dependencies, peerDependencies } = manifest(directory);
    for (const dependency of Object.keys({ ...dependencies, ...peerDependencies })) {
      if (existsSync(join(PACKAGE, "node_modules", dependency))) continue;
      // Its own types, or those that others wrote for it.
      for (const types of [dependency, join("@types", dependency)]) {
        const installed = join(directory, "node_modules", types);
        if (!existsSync(installed)) continue;
        const { typings, types: entry = typings } = manifest(installed);
        if (entry === undefined) continue;
        paths[dependency] = [join(installed, entry)];
        paths[`${dependency}/*`] = [join(installed, "*.d.ts")];
      }
    }
  }
  return paths;
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly types?: string;
  readonly typings?: string;
}

function manifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
}
