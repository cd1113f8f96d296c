import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly packageManager: string;
}

const manifestOf = (directory: string): Manifest =>
  JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
const published = readdirSync(join(ROOT, "packages"))
  .map((name) => join(ROOT, "packages", name))
  .filter((directory) => !manifestOf(directory).private);
const names = published.map((directory) => manifestOf(directory).name);

let project: string;

/** Runs a program in the empty project; its output is the error's message if it fails. */
function run(program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { cwd: project, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(" ")}\n${stdout}\n${stderr}`, { cause: error });
  }
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "kc-install-"));
  const tarballs = join(project, "tarballs");
  mkdirSync(tarballs);
  const { packageManager } = manifestOf(ROOT);
  const filters = names.flatMap((name) => ["--filter", name]);
  execFileSync(
    "npx",
    ["-y", packageManager, ...filters, "-r", "pack", "--pack-destination", tarballs],
    { cwd: ROOT, stdio: "pipe" },
  );
  const files = readdirSync(tarballs).map((file) => `./tarballs/${file}`);
  expect(files).toHaveLength(names.length);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true }));
  run("npm", "install", "--no-audit", "--no-fund", ...files, "typescript@7.0.2", "@types/node@20");
}, 300_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

// The suite registers tests: outside a runner it can be resolved, not run.
const importable = names.filter((name) => name !== "@kc/conformance");

test.each(importable)("%s can be imported as an ES module", (name) => {
  const program = `import * as all from "${name}"; console.log(Object.keys(all).length)`;
  expect(Number(run("node", "--input-type=module", "--eval", program))).toBeGreaterThan(0);
});

test.each(importable)("%s can be required from CommonJS", (name) => {
  const program = `console.log(Object.keys(require("${name}")).length)`;
  expect(Number(run("node", "--input-type=commonjs", "--eval", program))).toBeGreaterThan(0);
});

test("a strict project compiles against the published declarations, libraries checked", () => {
  const first = readFileSync(join(ROOT, "packages/packaging/src/every-package.ts"), "utf8");
  writeFileSync(join(project, "first.mts"), first);
  writeFileSync(join(project, "first.cts"), first);
  writeFileSync(
    join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: { strict: true, noEmit: true, module: "nodenext", types: ["node"] },
      files: ["first.mts", "first.cts"],
    }),
  );
  run("npx", "tsc", "-p", "tsconfig.json");
}, 120_000);

test("a consumer with a SQLite store reads an emulated stream to its end", () => {
  writeFileSync(
    join(project, "end-to-end.mjs"),
    `import { CreateStreamCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
     import { Consumer } from "@kc/core";
     import { FakeKinesis } from "@kc/emulator";
     import { SqliteStore } from "@kc/store-sqlite";
     const client = new FakeKinesis();
     await client.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 1 }));
     await client.send(new PutRecordCommand({
       StreamName: "orders", PartitionKey: "a", Data: new TextEncoder().encode("hello") }));
     const store = new SqliteStore({ path: "checkpoints.sqlite" });
     await store.setup();
     const consumer = new Consumer({ stream: "orders", application: "billing", store, client,
       start: "TRIM_HORIZON" });
     for await (const record of consumer.records()) { console.log(record.text()); break; }
     await store[Symbol.asyncDispose]();`,
  );
  expect(run("node", "end-to-end.mjs").trim()).toBe("hello");
});

test.each(names)("%s carries its README, LICENSE, sources and types", (name) => {
  expect(readdirSync(join(project, "node_modules", name))).toEqual(
    expect.arrayContaining(["LICENSE", "README.md", "dist", "package.json", "src"]),
  );
});
