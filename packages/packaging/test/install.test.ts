import { readdirSync, readFileSync, symlinkSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blocks, ROOT } from "./support/markdown.ts";
import { PackedProject, PUBLISHED, tool } from "./support/packed-project.ts";
import { CONSUMER, IMPORTS, JEST, JEST_REQUIRES, REQUIRES } from "./support/programs.ts";

let project: PackedProject;

beforeAll(async () => {
  project = await PackedProject.create();
  project.write("imports.mjs", IMPORTS);
  project.write("requires.cjs", REQUIRES);
  project.write("consumer.ts", CONSUMER);
  project.write("consumer.mjs", CONSUMER);
});
afterAll(() => project.remove());

test.each(PUBLISHED)("%s carries its README, LICENSE, sources and types", (name) => {
  expect(readdirSync(join(project.directory, "node_modules", name))).toEqual(
    expect.arrayContaining(["LICENSE", "README.md", "dist", "package.json", "src"]),
  );
});

/** A runtime as a program and its first arguments. */
type Runtime = readonly [program: string, ...args: string[]];

/** Node of a major version: its executable, from npm's cache. */
async function node(major: number): Promise<Runtime> {
  const find = ["-y", "--prefer-offline", "--package", `node@${major}`, "--", "node"];
  const { stdout } = await project.run("npx", [...find, "--print", "process.execPath"]);
  return [stdout.trim()];
}

const RUNTIMES: Readonly<Record<string, () => Promise<Runtime>>> = {
  "this Node": async () => [process.execPath],
  "Node 22": async () => node(22),
  "Node 24": async () => node(24),
  "Node 26": async () => node(26),
  Bun: async () => [tool(".bin/bun")],
  Deno: async () => [tool(".bin/deno"), "run", "-A"],
};
// The suite registers tests: outside a runner it can be resolved, not run.
const IMPORTABLE = PUBLISHED.filter((name) => name !== "@kc/conformance");
const ENTRIES = [...IMPORTABLE, "@kc/core/adapter"];

describe.concurrent.each(Object.entries(RUNTIMES))("%s", (name, find) => {
  let found: Promise<Runtime> | undefined;
  const run = async (program: string, ...args: readonly string[]): Promise<string> => {
    const [runtime, ...first] = await (found ??= find());
    const { stdout, stderr } = await project.run(runtime, [...first, program, ...args]);
    expect(stderr).toBe("");
    return stdout;
  };

  test.each(["imports.mjs", "requires.cjs"])("loads every package: %s", async (program) => {
    const counts = JSON.parse(await run(program, ...ENTRIES)) as Record<string, number>;
    expect(Object.keys(counts)).toEqual(ENTRIES);
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
  });

  test("reads a stream by both clients, and goes on after a checkpoint in SQLite", async () => {
    expect(await run("consumer.mjs", `${name}.sqlite`)).toBe("one\ntwo\n");
  });
});

describe.concurrent("TypeScript", () => {
  const NODENEXT = { module: "nodenext" };
  const BUNDLER = { module: "esnext", moduleResolution: "bundler" };
  const first = readFileSync(join(ROOT, "packages/packaging/src/every-package.ts"), "utf8");

  // Version 7 is several times as fast as the others.
  test.each([
    [5, 20, NODENEXT],
    [6, 26, BUNDLER],
    [7, 20, NODENEXT],
    [7, 22, NODENEXT],
    [7, 24, NODENEXT],
    [7, 26, NODENEXT],
    [7, 26, BUNDLER],
  ] as const)("%i with @types/node %i and %o: strict, libraries checked", async (...of) => {
    const [version, types, modules] = of;
    const directory = `types/${of.map((each) => JSON.stringify(each).replaceAll(/\W/g, "")).join("-")}`;
    mkdirSync(join(project.directory, directory, "types"), { recursive: true });
    symlinkSync(tool(`types-node-${types}`), join(project.directory, directory, "types/node"));
    const files = modules === NODENEXT ? ["first.mts", "first.cts"] : ["first.ts"];
    for (const file of files) project.write(`${directory}/${file}`, first);
    const compilerOptions = {
      ...modules,
      target: "es2022",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      types: ["node"],
      typeRoots: ["./types"],
    };
    project.write(`${directory}/tsconfig.json`, JSON.stringify({ compilerOptions, files }));
    await project.run("node", [tool(`typescript-${version}/bin/tsc`), "-p", directory]);
  });
});

/** A block of docs/recipes.md. */
function recipe(part: string): string {
  const found = blocks("docs/recipes.md").find(({ text }) => text.includes(part));
  if (found === undefined) throw new Error(`docs/recipes.md has no block with ${part}`);
  return found.text;
}
/** A recipe's command, with the tools' programs in place of npx. */
const command = (part: string): string =>
  recipe(part)
    .trim()
    .replaceAll("npx ", `${tool(".bin")}/`);

describe.concurrent("a bundle", () => {
  const reads = async (bundle: string): Promise<void> => {
    const { stdout } = await project.run("node", [bundle, `${bundle}.sqlite`]);
    expect(stdout).toBe("one\ntwo\n");
  };

  test("by the recipe for esbuild reads a stream", async () => {
    await project.run("sh", ["-c", command("npx esbuild")]);
    await reads("dist/consumer.mjs");
  });

  test("by the recipe for Rollup reads a stream", async () => {
    project.write("rollup.config.mjs", recipe("rollup.config.mjs"));
    await project.run("sh", ["-c", command("npx rollup")]);
    await reads("dist/rolled.mjs");
  });

  test("by the recipe for webpack reads a stream", async () => {
    project.write("webpack.config.mjs", recipe("webpack.config.mjs"));
    await project.run("sh", ["-c", command("npx webpack")]);
    await reads("dist/packed.mjs");
  });
});

describe.concurrent("Jest", () => {
  test("runs a test as an ES module by the recipe", async () => {
    project.write("jest-esm/consumer.test.mjs", JEST);
    project.write("jest-esm/jest.config.mjs", recipe("jest.config.mjs"));
    const jest = command("npx jest");
    await project.run("sh", ["-c", `${jest} --rootDir jest-esm -c jest-esm/jest.config.mjs`]);
  });

  test("runs a test as CommonJS by the recipe with a transformer", async () => {
    project.write("jest-cjs/consumer.test.js", JEST_REQUIRES);
    project.write("jest-cjs/jest.config.cjs", recipe("jest.config.cjs"));
    await project.run(tool(".bin/jest"), [
      "--rootDir",
      "jest-cjs",
      "-c",
      "jest-cjs/jest.config.cjs",
    ]);
  });
});
