import { ConfigError } from "../errors.ts";

/** Option names of other libraries, and our option for each: the text before the comma is its name. */
const SYNONYMS: Readonly<Record<string, string>> = {
  arn: "stream",
  attempts: "retry, as { maxAttempts }",
  batchSize: "maxRecords",
  bisectBatchOnFunctionError: "bisect",
  connectionString: "connection",
  credentials: "client, which carries the credentials",
  deadLetter: "onFailure",
  deadLetterQueue: "onFailure",
  deserializer: "decode",
  endpoint: "client, which carries the endpoint",
  file: "path",
  filename: "path",
  leaseDuration: "leaseMs",
  limit: "maxRecords",
  maxAttempts: "retry, as { maxAttempts }",
  maxConcurrency: "concurrency",
  maximumRecordAgeInSeconds: "maxRecordAgeMs",
  maximumRetryAttempts: "retry, as { maxAttempts }",
  parallelizationFactor: "concurrency",
  parser: "decode",
  prefix: "keyPrefix",
  region: "client, which carries the Region",
  retries: "retry, as { maxAttempts }",
  schema: "decode",
  url: "connection",
};

/**
 * Checks that the options are an object with known names only. A misspelled option would otherwise be
 * ignored, and its default used.
 * @param of what accepts the options, for the message: `Consumer`
 * @param known the names of its options
 * @param what the name of the parameter
 * @throws ConfigError
 */
export function checkOptionNames(
  of: string,
  options: unknown,
  known: readonly string[],
  what = "options",
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const given = options === null ? "null" : Array.isArray(options) ? "an array" : typeof options;
    throw new ConfigError(
      what,
      `${of} takes an object, not ${given}; its members are ${known.join(", ")}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ConfigError(name, `${of} has no such option; ${suggestion(name, known)}`);
    }
  }
}

function suggestion(name: string, known: readonly string[]): string {
  const synonym = Object.hasOwn(SYNONYMS, name) ? SYNONYMS[name]! : "";
  const meant = known.includes(synonym.split(",")[0]!) ? synonym : nearest(name, known);
  return meant === undefined ? `its options are ${known.join(", ")}` : `did you mean ${meant}?`;
}

/** The known option closest to the name: one is a prefix of the other, or a few letters differ. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  const most = Math.max(1, Math.floor(name.length / 4));
  const near = known
    .map((option) => ({ option, edits: editsBetween(lower, option.toLowerCase()) }))
    .filter(({ option, edits }) => edits <= most || beginsLike(lower, option.toLowerCase()))
    .toSorted((a, b) => a.edits - b.edits);
  return near[0]?.option;
}

function beginsLike(name: string, option: string): boolean {
  return name.length >= 4 && (option.startsWith(name) || name.startsWith(option));
}

/** The Levenshtein distance. */
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
