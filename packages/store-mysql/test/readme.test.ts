import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { SCHEMA } from "../src/schema.ts";
import { checkOptions } from "../src/options.ts";

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
