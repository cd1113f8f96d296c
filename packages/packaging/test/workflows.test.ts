import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly string[]>> };
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const DIRECTORY = new URL("../../../.github/workflows/", import.meta.url);
const FILES = readdirSync(fileURLToPath(DIRECTORY));

const read = (file: string): Workflow =>
  parse(readFileSync(new URL(file, DIRECTORY), "utf8")) as Workflow;
const steps = (workflow: Workflow): readonly Step[] =>
  Object.values(workflow.jobs).flatMap((job) => job.steps);

/** A build, a test, or an install whose scripts run. */
const runsForeignCode = (command: string): boolean =>
  /do:setup|\.ci\/run|npm (run|test)|pnpm (run|exec|dlx)|npx/.test(command) ||
  (/\b(install|add|ci)\b/.test(command) && !command.includes("--ignore-scripts"));

test.each(FILES)("%s pins each action by its commit", (file) => {
  for (const { uses } of steps(read(file)))
    if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
});

test.each(FILES)("%s keeps no credentials in the work tree", (file) => {
  for (const step of steps(read(file)))
    if (step.uses?.startsWith("actions/checkout@") === true)
      expect(step.with).toMatchObject({ "persist-credentials": false });
});

test("the tests run on each Node version that the documents name", () => {
  const matrix = read("ci.yml").jobs["test"]?.strategy?.matrix;
  expect(matrix).toEqual({ node: ["20.19", "22", "24", "26"] });
  const file = (path: string): string => readFileSync(new URL(`../../${path}`, DIRECTORY), "utf8");
  expect(file("docs/versions.md")).toContain("| 20.19, 22, 24 and 26; each is tested");
  expect(file(".ci/platforms")).toContain("for major in 22 24 26;");
  expect(file("package.json")).toContain('"node": ">=20.19"');
});

test("a job that may write or publish runs no build, no test and no install script", () => {
  const workflow = read("release.yml");
  expect(workflow.permissions).toEqual({});
  for (const [name, job] of Object.entries(workflow.jobs)) {
    if (!Object.values(job.permissions ?? {}).includes("write")) continue;
    for (const { run = "" } of job.steps)
      expect([name, runsForeignCode(run)]).toEqual([name, false]);
  }
});

test("the job that publishes has no other right, no checkout, and publishes what was packed", () => {
  const { jobs } = read("release.yml");
  const publishers = Object.values(jobs).filter((job) => job.permissions?.["id-token"] === "write");
  expect(publishers).toHaveLength(1);
  const [publisher] = publishers;
  expect(publisher?.permissions).toEqual({ "id-token": "write" });
  const used = publisher?.steps.flatMap(({ uses }) => uses?.split("@")[0] ?? []);
  expect(used).toEqual(["actions/setup-node", "actions/download-artifact"]);
  const commands = publisher?.steps.flatMap(({ run }) => run ?? []);
  expect(commands).toEqual([
    'for file in packed/*.tgz; do npm publish "./$file" --ignore-scripts --provenance --access public; done',
  ]);
});
