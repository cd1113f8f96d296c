import { readFileSync } from "node:fs";
import type { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import * as dynamodb from "../../store-dynamodb/src/errors.ts";
import * as mysql from "../../store-mysql/src/errors.ts";
import * as postgres from "../../store-postgres/src/errors.ts";
import * as redis from "../../store-redis/src/errors.ts";
import * as sqlite from "../../store-sqlite/src/errors.ts";

interface Driver {
  readonly package: string;
  /** What the driver throws for a code or a text of the README. */
  readonly thrown: (token: string) => Error;
  readonly classify: (error: Error) => KcError;
  /** Every code that the store's own tables name. */
  readonly codes: readonly string[];
  /** Every text that they name. */
  readonly texts: readonly RegExp[];
  /** These pass for a minute on a store that has worked. */
  readonly refused: readonly string[];
}

const isSocketCode = (token: string): boolean => /^E[A-Z]+(?:_AGAIN)?$/.test(token);
const coded = (code: string, message = "a text"): Error =>
  Object.assign(new Error(message), { code });
const first = (row: readonly [string, ...unknown[]]): string => row[0];
const literal = (text: string): RegExp =>
  new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));

const POSTGRES_CODES = [...postgres.SQLSTATES, ...postgres.NETWORK_CODES].map(first);
const REDIS_CODES = redis.REPLY_CODES.map(first);

const DRIVERS: readonly Driver[] = [
  {
    package: "store-mysql",
    thrown: (token) =>
      /^\d+$/.test(token)
        ? Object.assign(new Error("a text"), { errno: Number(token), sqlState: "HY000" })
        : mysql.CLIENT_TEXTS.some(([text]) => text === token)
          ? new Error(token)
          : coded(token),
    classify: mysql.toStoreError,
    codes: [
      ...mysql.SERVER_ERRORS.map(([number]) => String(number)),
      ...mysql.CLIENT_ERRORS.map(first),
    ],
    texts: mysql.CLIENT_TEXTS.map(([text]) => literal(text)),
    refused: ["STORE_ACCESS_DENIED"],
  },
  {
    package: "store-postgres",
    thrown: (token) =>
      token.endsWith("xxx")
        ? coded(token.replace("xxx", "999"))
        : POSTGRES_CODES.includes(token)
          ? coded(token)
          : new Error(token),
    classify: (error) => postgres.toStoreError(error, "", ""),
    codes: [...POSTGRES_CODES, ...postgres.CLASSES.map(([start]) => `${start}xxx`)],
    texts: postgres.TEXTS.map(([text]) => text),
    refused: ["STORE_ACCESS_DENIED"],
  },
  {
    package: "store-redis",
    thrown: (token) =>
      isSocketCode(token)
        ? Object.assign(coded(token), { syscall: "connect" })
        : new Error(REDIS_CODES.includes(token) ? `${token} a text` : token),
    classify: (error) => redis.toStoreError(error, ""),
    codes: REDIS_CODES,
    texts: redis.MESSAGES.map(([text]) => text),
    refused: ["STORE_ACCESS_DENIED"],
  },
  {
    package: "store-dynamodb",
    thrown: (token) =>
      isSocketCode(token)
        ? coded(token)
        : Object.assign(new Error(token), {
            name: token.includes(" ") ? "InvalidSignatureException" : token,
          }),
    classify: (error) => dynamodb.toStoreError(error, ""),
    codes: Object.keys(dynamodb.ERROR_NAMES),
    texts: [],
    refused: ["STORE_ACCESS_DENIED", "STORE_SCHEMA"],
  },
  {
    package: "store-sqlite",
    thrown: coded,
    classify: (error) => sqlite.toStoreError(error, ""),
    codes: [...sqlite.RESULT_CODES.map(([, name]) => name), ...sqlite.FILE_ERRORS.map(first)],
    texts: [],
    refused: ["STORE_ACCESS_DENIED"],
  },
];

const ROW = /^\| (retried|refused|final) +\| ([^|]+)\|/gm;

/** The outcome of each code and text, by the table of a README. */
function tableOf(name: string): readonly (readonly [token: string, outcome: string])[] {
  const readme = readFileSync(new URL(`../../${name}/README.md`, import.meta.url), "utf8");
  const [, section = ""] = readme.split("### Each code");
  return [...section.split("\n## ")[0]!.matchAll(ROW)].flatMap(([, outcome, tokens]) =>
    [...tokens!.matchAll(/`([^`]+)`/g)].map(([, token]) => [token!, outcome!] as const),
  );
}

describe.each(DRIVERS)("the README of $package", (driver) => {
  const table = tableOf(driver.package);
  const tokens = table.map(([token]) => token);

  it("says of each code what the store makes of it", () => {
    const outcomeOf = (token: string): string => {
      const { code, retryable, message } = driver.classify(driver.thrown(token));
      if (message.includes("not known here")) return "not known";
      return retryable ? "retried" : driver.refused.includes(code) ? "refused" : "final";
    };
    expect(tokens.map((token) => [token, outcomeOf(token)])).toStrictEqual(table);
  });

  it("names every code and text that the store knows, once", () => {
    const texts = driver.texts.filter((text) => !tokens.some((token) => text.test(token)));
    expect(texts).toStrictEqual([]);
    expect(driver.codes.filter((code) => !tokens.includes(code))).toStrictEqual([]);
    expect(tokens.length).toBe(new Set(tokens).size);
  });
});
