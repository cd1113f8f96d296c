import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * Throws unless each link of the built site leads to a file of the site and, with a `#`, to an element of it.
 * VitePress itself checks pages, and no anchors.
 */
export function checkLinks(directory: string): void {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const pages = files.filter((file) => file.endsWith(".html"));
  const anchors = new Map(pages.map((page) => [page, idsOf(join(directory, page))]));
  const broken = pages.flatMap((page) =>
    linksOf(join(directory, page)).flatMap((link) => {
      const { pathname, hash } = new URL(link, `http://site/${relative("", page)}`);
      const path = decodeURIComponent(pathname).slice(1);
      const target = [path, `${path}.html`, join(path, "index.html")].find((file) =>
        anchors.has(file),
      );
      if (target === undefined) return files.includes(path) ? [] : [`${page}: ${link}`];
      const found = hash === "" || anchors.get(target)?.has(decodeURIComponent(hash.slice(1)));
      return found ? [] : [`${page}: ${link}`];
    }),
  );
  if (broken.length > 0) throw new Error(`links that lead nowhere:\n${broken.join("\n")}`);
}

function idsOf(file: string): Set<string> {
  return new Set(values(file, /\sid="([^"]*)"/g));
}

/** The links within the site. */
function linksOf(file: string): string[] {
  return values(file, /<a\s[^>]*?href="([^"]*)"/g).filter((link) => !/^[a-z]+:/i.test(link));
}

function values(file: string, pattern: RegExp): string[] {
  return [...readFileSync(file, "utf8").matchAll(pattern)].map(([, value = ""]) => value);
}
