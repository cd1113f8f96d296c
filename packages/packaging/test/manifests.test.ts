import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { read, ROOT } from "./support/markdown.ts";

interface Manifest {
  readonly private?: boolean;
  readonly homepage?: string;
  readonly bugs?: { readonly url: string };
  readonly repository?: { readonly url: string; readonly directory: string };
}

const directories = readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}`);
const published = directories.filter(
  (directory) => (JSON.parse(read(`${directory}/package.json`)) as Manifest).private !== true,
);

test("the published packages are found", () => {
  expect(published).toContain("packages/core");
  expect(published).not.toContain("packages/packaging");
});

test.each(published)("%s names its page, its issues and its directory", (directory) => {
  expect(JSON.parse(read(`${directory}/package.json`))).toMatchObject({
    homepage: `https://github.com/kc-js/kc/tree/main/${directory}#readme`,
    bugs: { url: "https://github.com/kc-js/kc/issues" },
    repository: { url: "git+https://github.com/kc-js/kc.git", directory },
  });
});
