import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach } from "vitest";

// A process warning fails the test that it came in, and so does one of a Node process that the test started.

/** The codes, or else the names, of the warnings that a test expects: each has to come, and no other. */
export type ExpectedWarnings = readonly string[];

declare module "vitest" {
  interface TaskMeta {
    warnings?: ExpectedWarnings;
  }
}

interface Warned {
  readonly name: string;
  readonly text: string;
}

let warned: Warned[] = [];
const listen = (warning: Error & { code?: string }): void => {
  warned.push({ name: warning.code ?? warning.name, text: warning.stack ?? String(warning) });
};
const children = mkdtempSync(join(tmpdir(), "kc-warnings-"));
const { NODE_OPTIONS } = process.env;

/** The warnings since the last look, also those that are announced in the next turn. */
async function take(): Promise<readonly Warned[]> {
  await setImmediate();
  const own = warned;
  warned = [];
  return [
    ...own,
    ...readdirSync(children)
      .filter((file) => !file.endsWith(".part"))
      .map((file) => {
        const text = readFileSync(join(children, file), "utf8");
        rmSync(join(children, file));
        return JSON.parse(text) as Warned;
      }),
  ];
}

function check(found: readonly Warned[], expected: readonly string[]): void {
  const unexpected = found.filter(({ name }) => !expected.includes(name));
  if (unexpected.length > 0) {
    throw new Error(`process warnings:\n${unexpected.map(({ text }) => text).join("\n")}`);
  }
  const absent = expected.filter((name) => !found.some((each) => each.name === name));
  if (absent.length > 0) throw new Error(`no process warning ${absent.join(", ")}`);
}

process.on("warning", listen);
process.env["KC_TEST_WARNINGS"] = children;
process.env["NODE_OPTIONS"] = [
  NODE_OPTIONS,
  `--import=${new URL("vitest.child-warnings.mjs", import.meta.url).href}`,
].join(" ");

afterEach(async ({ task }) => check(await take(), task.meta.warnings ?? []));
afterAll(async () => {
  process.off("warning", listen);
  const found = await take();
  rmSync(children, { recursive: true });
  check(found, []);
});
