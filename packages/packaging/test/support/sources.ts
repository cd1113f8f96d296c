import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { read, ROOT } from "./markdown.ts";

/** A member of an options type, with what its comment names as the default. */
export interface Member {
  readonly name: string;
  readonly byDefault: string | undefined;
}

/** The members of an exported interface or type, read from the source: a type leaves no trace. */
export function membersOf(file: string, name: string): Member[] {
  const body = new RegExp(
    `^export (?:interface ${name}\\b[^]*?^\\}|type ${name}\\b[^]*?^\\S*;$)`,
    "m",
  ).exec(read(file))?.[0];
  if (body === undefined) throw new Error(`${file} has no ${name}`);
  const members = [...body.matchAll(/(?:\/\*\*([^]*?)\*\/\s*)?readonly (\w+)\??: ([^;]+);/g)]
    .filter(([, , , type]) => type !== "never")
    .map(([, comment = "", member = ""]) => ({
      name: member,
      byDefault: /@default ([^\n]*?)\s*(?:\n|$)/.exec(comment)?.[1],
    }));
  if (members.length === 0) throw new Error(`${file}: nothing was found in ${name}`);
  return members;
}

/** The paths of all source files of the packages. */
export function allSourceFiles(): string[] {
  const packages = join(ROOT, "packages");
  return readdirSync(packages).flatMap((name) => sourceFiles(join(packages, name, "src")));
}

/** The text of all source files of the packages. */
export function allSources(): string {
  return allSourceFiles()
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
}

function sourceFiles(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(directory, file));
}
