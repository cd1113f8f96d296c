import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ddl } from "../src/schema.ts";
import { tablesOf } from "../src/tables.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README shows the statements that setup() runs", () => {
  const script = ddl(tablesOf({ table: "kinesis_consumer", schema: undefined }));
  expect(readme).toContain(`\`\`\`sql\n${script}\n\`\`\``);
});
