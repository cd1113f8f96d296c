import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");

it.each(["./readme/path.ts", "./readme/database.ts"])(
  "the README shows %s as the compiler checks it here",
  (name) => {
    expect(read("../README.md")).toContain(`\`\`\`ts\n${read(name)}\`\`\``);
  },
);
