import { ConfigError } from "./errors.ts";

/** What people write for an option of ours, or look for where it is not. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  arn: "stream",
  batchSize: "maxRecords",
  credentials: "client, which carries the credentials",
  endpoint: "client, which carries the endpoint",
  limit: "maxRecords",
  region: "client, which carries the Region",
};

/** Refuses what is no object, and names that are none of `known`. @throws ConfigError */
export function checkOptionNames(options: unknown, known: readonly string[], what: string): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ConfigError(
      what,
      `an object is needed, not ${options === null ? "null" : typeof options}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new ConfigError(name, `there is no such option${hint(name, known)}`);
  }
}

function hint(name: string, known: readonly string[]): string {
  const meant =
    (Object.hasOwn(OTHER_WORDS, name) ? OTHER_WORDS[name] : undefined) ?? nearest(name, known);
  const isKnown = meant !== undefined && known.some((option) => meant.split(",")[0] === option);
  return isKnown ? `; did you mean ${meant}?` : "";
}

/** The option that the name begins like, or differs from in a few letters. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  const most = Math.max(1, Math.floor(name.length / 4));
  const near = known
    .map((option) => ({ option, edits: editsBetween(lower, option.toLowerCase()) }))
    .filter(({ option, edits }) => {
      const likeness = option.toLowerCase();
      return (
        edits <= most ||
        (name.length >= 4 && (likeness.startsWith(lower) || lower.startsWith(likeness)))
      );
    })
    .toSorted((a, b) => a.edits - b.edits);
  return near[0]?.option;
}

/** Letters to insert, remove or replace. */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
