import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  COUNTER_SCENARIOS,
  DEAD_LETTER_SCENARIOS,
  FROZEN_CLIENT_SCENARIOS,
  LEASE_STORE_SCENARIOS,
  STORE_SCENARIOS,
  TRANSACTIONAL_STORE_SCENARIOS,
} from "../src/index.ts";

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");

it.each([
  "./readme/store.test.ts",
  "./readme/counter.test.ts",
  "./readme/dead-letters.test.ts",
  "./readme/transactions.test.ts",
])("the README shows %s as it runs here", (name) => {
  expect(read("../README.md")).toContain(`\`\`\`ts\n${read(name)}\`\`\``);
});

it("the README names every theme", () => {
  const themes = [
    ...STORE_SCENARIOS,
    ...LEASE_STORE_SCENARIOS,
    ...FROZEN_CLIENT_SCENARIOS,
    ...TRANSACTIONAL_STORE_SCENARIOS,
    ...COUNTER_SCENARIOS,
    ...DEAD_LETTER_SCENARIOS,
  ].map(({ key }) => key.split(".")[0]!);
  const named = new Set(
    [...read("../README.md").matchAll(/^\| `([\w-]+)\.`/gm)].map(([, name]) => name),
  );
  expect([...named].toSorted()).toStrictEqual([...new Set(themes)].toSorted());
});
