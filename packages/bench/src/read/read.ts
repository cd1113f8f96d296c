import { compare, type Comparison } from "../rounds.ts";
import { Contestants } from "./comparison.ts";
import { consumer, decodedPages } from "./contestants.ts";
import { measureIdle } from "./idle.ts";
import { measureStuck } from "./stuck.ts";
import { selfSigned } from "./tls.ts";

const OWN_SHARE_ROUNDS = 5;
/** A shard provides 2 MiB a second; this many keep a consumer busy. */
const SHARDS = 24;
/**
 * The pages of each case, by name. The first page of each shard is not measured, nor is the last
 * one for contestants that read ahead.
 */
const SIZES = {
  "1k": { shards: SHARDS, pages: 7, records: 2000, bytes: 1024 },
  "100b": { shards: SHARDS, pages: 5, records: 10_000, bytes: 100 },
  "10k": { shards: SHARDS, pages: 7, records: 200, bytes: 10_240 },
} as const;
const SIZE_NAMES = Object.keys(SIZES) as (keyof typeof SIZES)[];

type Case = (contestants: () => Contestants) => Promise<object>;

const CASES: Readonly<Record<string, Case>> = {
  ...over("tls"),
  ...over("plain"),
  "own-share": ownShare,
  memory: measureStuck,
};

/**
 * The cost of a record from the connection to the handler, compared with other ways to read. One
 * run, contestants in turn, medians of ratios within a round. `--case NAME` (repeatable) runs only
 * these cases.
 */
export async function benchRead(args: readonly string[]): Promise<object> {
  const names = casesOf(args);
  let contestants: Contestants | undefined;
  const results: Record<string, unknown> = {};
  for (const name of names) {
    console.error(name);
    results[name] = await CASES[name]!(() => (contestants ??= new Contestants()));
  }
  return { ...results, ...(contestants && { notMeasured: contestants.notMeasured }) };
}

/** The names that follow `--case`, or all. */
function casesOf(args: readonly string[]): readonly string[] {
  const given = args.flatMap((arg, at) => (arg === "--case" ? [args[at + 1] ?? ""] : []));
  const unknown = given.filter((name) => !Object.hasOwn(CASES, name));
  if (args.length !== 2 * given.length || unknown.length > 0) {
    throw new Error(`usage: read [--case NAME]…, one of: ${Object.keys(CASES).join(", ")}`);
  }
  return given.length > 0 ? given : Object.keys(CASES);
}

/** The cases with and without TLS. */
function over(wire: "tls" | "plain"): Record<string, Case> {
  const certified = async (run: (tls?: ReturnType<typeof selfSigned>) => Promise<object>) => {
    const tls = wire === "tls" ? selfSigned() : undefined;
    if (wire === "tls" && tls === undefined) {
      return { notMeasured: "there is no openssl here" };
    }
    return run(tls);
  };
  const sizes = SIZE_NAMES.map((size): [string, Case] => [
    `${wire}-${size}`,
    (contestants) =>
      certified((tls) => contestants().compareOn({ ...SIZES[size], ...(tls && { tls }) })),
  ]);
  return {
    ...Object.fromEntries(sizes),
    [`${wire}-poll`]: (contestants) => certified((tls) => contestants().pollAtPace(tls)),
    [`${wire}-idle`]: () => certified(measureIdle),
  };
}

/**
 * The share of everything above wire and decoder, and the extra cost of an async handler that
 * awaits nothing.
 */
async function ownShare(): Promise<Comparison> {
  const pages = SIZES["1k"];
  const client = decodedPages(pages);
  const total = pages.shards * pages.pages * pages.records;
  return compare(
    {
      syncHandler: consumer(client, total),
      asyncHandler: consumer(client, total, { awaits: true }),
    },
    OWN_SHARE_ROUNDS,
  );
}
