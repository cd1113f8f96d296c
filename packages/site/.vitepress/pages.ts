import { existsSync, readdirSync, statSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository: its Markdown files are the site's pages, where they are. */
export const ROOT: string = fileURLToPath(new URL("../../../", import.meta.url));

const REPOSITORY = "https://github.com/kc-js/kc";
const API = "packages/site/generated/";

/** A file's route in the site, with its `.md`; `undefined` if the file is no page. */
export function routeOf(file: string): string | undefined {
  if (file === "README.md") return "index.md";
  if (/^(?:ARCHITECTURE|CONTRIBUTING|SECURITY)\.md$/.test(file)) return file.toLowerCase();
  if (file.startsWith(API)) return `api/${file.slice(API.length)}`;
  return (
    /^docs\/([^/]+\.md)$/.exec(file)?.[1] ??
    file.match(/^(packages\/[^/]+)\/README\.md$/)?.[1]?.concat(".md")
  );
}

/** Globs of the Markdown files that are no pages. */
export const NOT_PAGES: readonly string[] = [
  "examples/**",
  "packages/*/!(README).md",
  "packages/!(site)/*/**",
];

/** The link that the site has in place of a link that a file has: another page, or the file on GitHub. */
export function linkFrom(file: string, link: string): string {
  const local = link
    .replace(`${REPOSITORY}/blob/main/`, "/")
    .replace(`${REPOSITORY}/tree/main/`, "/");
  if (/^(?:[a-z]+:|#)/i.test(local)) return link;
  const [path = "", anchor] = local.split("#");
  const target = path.startsWith("/")
    ? path.slice(1)
    : posix.join(posix.dirname(relative(ROOT, file)), path);
  const route = routeOf(target) ?? routeOf(posix.join(target, "README.md"));
  const suffix = anchor === undefined ? "" : `#${anchor}`;
  if (route !== undefined && pageExists(target)) return `/${route}${suffix}`;
  const kind = statSync(join(ROOT, target)).isDirectory() ? "tree" : "blob";
  return `${REPOSITORY}/${kind}/main/${target}${suffix}`;
}

function pageExists(target: string): boolean {
  return target.endsWith(".md") || existsSync(join(ROOT, target, "README.md"));
}

/** The names of the published packages' directories, core first. */
export function packageNames(): string[] {
  const names = readdirSync(join(ROOT, API, "@kc"));
  return names.toSorted((a, b) => Number(b === "core") - Number(a === "core") || (a < b ? -1 : 1));
}
