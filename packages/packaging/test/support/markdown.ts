import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../../../../", import.meta.url));

const NOT_OURS = new Set([".git", ".turbo", "node_modules", "dist", "generated"]);

/** Every Markdown file of the repository, by its path from the root. */
export function markdownFiles(directory: string = ROOT): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownFiles(path);
    return entry.name.endsWith(".md") ? [relative(ROOT, path)] : [];
  });
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A fenced block: what stands behind the fence, its text, and the line it begins at. */
export interface Block {
  readonly file: string;
  readonly info: string;
  readonly text: string;
  /** Of the first line of text, from 1. */
  readonly line: number;
}

const FENCE = /^( *)```([^\n`]*)\n([^]*?)^\1```$/gm;

export function blocks(file: string): Block[] {
  const markdown = read(file);
  return [...markdown.matchAll(FENCE)].map((match) => {
    const [, indent = "", info = "", text = ""] = match;
    const line = markdown.slice(0, match.index).split("\n").length + 1;
    return { file, info: info.trim(), text: text.replaceAll(`\n${indent}`, "\n"), line };
  });
}

/** A file's text without its fenced blocks. */
export function prose(file: string): string {
  return read(file).replaceAll(FENCE, "");
}

/** Headings of a level, or of all, without their `#`s and backticks. */
export function headings(markdown: string, level?: number): string[] {
  return [...markdown.matchAll(/^(#+) (.+)$/gm)]
    .filter(([, marks]) => level === undefined || marks?.length === level)
    .map(([, , text = ""]) => text.replaceAll("`", "").trim());
}

/** What stands under a heading, up to the next one of its level or above. */
export function section(markdown: string, heading: string): string {
  const found = new RegExp(`^(#+) \`?${heading}\`?$`, "m").exec(markdown);
  if (found === null) throw new Error(`there is no heading "${heading}"`);
  const rest = markdown.slice(found.index + found[0].length);
  const end = rest.search(new RegExp(`^#{1,${found[1]?.length}} `, "m"));
  return end === -1 ? rest : rest.slice(0, end);
}

/** The rows of the first table, its head left out, as trimmed cells. */
export function tableRows(markdown: string): string[][] {
  const table = /(?:^\|.*\|$\n?)+/m.exec(markdown)?.[0] ?? "";
  return table
    .trim()
    .split("\n")
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

/** Where each link of the prose leads. */
export function links(file: string): string[] {
  const text = prose(file).replaceAll(/`[^`\n]*`/g, "");
  return [...text.matchAll(/\[[^\]]*\]\(([^)\s]+)[^)]*\)/g)].map(([, target = ""]) => target);
}

/** The names by which a file's headings can be linked to, made as GitHub makes them. */
export function anchors(file: string): Set<string> {
  const seen = new Map<string, number>();
  return new Set(
    headings(prose(file)).map((heading) => {
      const slug = heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-");
      const times = seen.get(slug) ?? 0;
      seen.set(slug, times + 1);
      return times === 0 ? slug : `${slug}-${times}`;
    }),
  );
}
