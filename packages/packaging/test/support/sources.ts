import { read } from "./markdown.ts";

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

/** The members of an exported union of string literals. */
export function unionOf(file: string, name: string): string[] {
  const body = new RegExp(`^export type ${name} =([^;]*);`, "m").exec(read(file))?.[1] ?? "";
  const members = [...body.matchAll(/"([^"]+)"/g)].map(([, member = ""]) => member);
  if (members.length === 0) throw new Error(`${file}: nothing was found in ${name}`);
  return members;
}
