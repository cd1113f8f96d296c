import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SCHEMA } from "../src/schema.ts";
import { checkOptions } from "../src/options.ts";
import { OF_THE_SERVER, POOLS, REFUSED, SESSIONS } from "./support/settings.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** Its statements are run by `schema.test.ts`, its TypeScript is checked with the other documents'. */
it("the README has every column of the schema, and the options with their defaults", () => {
  for (const { columns, added } of SCHEMA) {
    for (const [name, type] of [...columns, ...added])
      expect(README).toContain(`  ${name} ${type},\n`);
  }
  const { table, timeoutMs } = checkOptions({ connection: "mysql://localhost/app" });
  expect(README).toMatch(new RegExp(`\\| \`table\` +\\| \`"${table}"\``));
  expect(README).toMatch(new RegExp(`\\| \`timeoutMs\` +\\| ${timeoutMs} `));
});

it("the README says what becomes of each setting that is tried", () => {
  const section = README.split("## Settings")[1]!.split("\n## ")[0]!;
  const statements = [...SESSIONS, ...REFUSED.map(([statement]) => statement)];
  const variables = statements.flatMap((each) => [...each.matchAll(/(\w+) = /g)].map((m) => m[1]!));
  const options = Object.values(POOLS).flatMap((each) => Object.keys(each));
  for (const name of [...OF_THE_SERVER, ...variables, ...options]) {
    const family = name.startsWith("character_set_") ? "character_set_…" : name;
    expect(section).toContain(`\`${family}\``);
  }
});
