import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

it("README's snippets are the tests in test/readme, word for word", () => {
  const snippets = [...read("../README.md").matchAll(/```ts\n([^]*?)```/g)].map(
    (match) => match[1],
  );
  const tests = readdirSync(new URL("readme", import.meta.url)).map((file) =>
    read(`readme/${file}`),
  );
  expect(snippets.toSorted()).toEqual(tests.toSorted());
});
