import { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { isNoScript, MESSAGES, REPLY_CODES, toStoreError } from "../src/errors.ts";

const unavailable = ["STORE_UNAVAILABLE", true] as const;
const denied = ["STORE_ACCESS_DENIED", false] as const;
const failed = ["STORE_FAILED", false] as const;

/** What Redis says first, and what each is to become. */
const CODES = [
  ["READONLY", ...unavailable],
  ["MOVED", ...unavailable],
  ["ASK", ...unavailable],
  ["TRYAGAIN", ...unavailable],
  ["CLUSTERDOWN", ...unavailable],
  ["LOADING", ...unavailable],
  ["MASTERDOWN", ...unavailable],
  ["BUSY", ...unavailable],
  ["OOM", ...unavailable],
  ["MISCONF", ...unavailable],
  ["NOREPLICAS", ...unavailable],
  ["NOSCRIPT", ...unavailable],
  ["UNBLOCKED", ...unavailable],
  ["NOAUTH", ...denied],
  ["WRONGPASS", ...denied],
  ["NOPERM", ...denied],
  ["DENIED", ...denied],
  ["WRONGTYPE", "STORE_SCHEMA", false],
  ["CROSSSLOT", ...failed],
] as const;

const TEXTS = [
  ["ERR max number of clients reached", ...unavailable],
  ["ERR The user executing the script can't run this command or subcommand script: f", ...denied],
  ["ERR invalid password", ...denied],
  ["ERR AUTH <password> called without any password configured for the default user.", ...denied],
  ["ERR unknown command 'evalsha', with args beginning with: ", ...failed],
  ["Connection in subscriber mode, only subscriber commands may be used", ...failed],
  ["Connection is closed.", ...unavailable],
  ["Stream isn't writeable and enableOfflineQueue options is false", ...unavailable],
  ["Command aborted due to connection close", ...unavailable],
  ["Reached the max retries per request limit (which is 20). Refer to …", ...unavailable],
  ["Command timed out", ...unavailable],
  ["Socket timeout. Expecting data, but didn't receive any in 5000ms.", ...unavailable],
  ["None of startup nodes is available", ...unavailable],
  ["Failed to refresh slots cache.", ...unavailable],
  ["Cluster isn't ready and enableOfflineQueue options is false", ...unavailable],
  ["Cluster is ended.", ...unavailable],
  ["Too many Cluster redirections. Last error: ReplyError: TRYAGAIN Multiple …", ...unavailable],
  ["All sentinels are unreachable. Retrying from scratch after 10ms.", ...unavailable],
  ["upstream failure", ...unavailable],
  ["no upstream host", ...unavailable],
  ["ERR something else", ...failed],
] as const;

const NETWORK = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "EPROTO",
  "EPERM",
  "EMFILE",
  "ENOBUFS",
  "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
];

describe("Redis's error codes", () => {
  it.each(CODES)("%s is %s, retryable %s", (name, code, retryable) => {
    const texts = [
      `${name} a text`,
      `-${name} a text`,
      `${name} a text script: 0a1b, on @user_script:3.`,
      `ERR Error running script (call to f_0a1b): @user_script:1: @user_script: 1: -${name} a text`,
    ];
    for (const text of texts) {
      const error = new Error(text);
      const mapped = toStoreError(error, "Redis at a:1");
      expect(mapped, text).toMatchObject({ code, retryable, cause: error, name: "StoreError" });
      expect(mapped.message).toMatch(/^Redis at a:1: .+ \(Error: .*a text.*\)$/);
      expect(isNoScript(error)).toBe(name === "NOSCRIPT");
    }
  });

  it("are all in the table", () => {
    const table = REPLY_CODES.map(([name, { code, retryable }]) => [name, code, retryable]);
    expect(table).toStrictEqual(CODES.map((row) => [...row]));
  });
});

describe("errors without a code", () => {
  it.each(TEXTS)("%s is %s, retryable %s", (text, code, retryable) => {
    expect(toStoreError(new Error(text), "Redis")).toMatchObject({ code, retryable });
  });

  it("are recognized by texts, and each text is tried here", () => {
    const used = MESSAGES.filter(([text]) => TEXTS.some(([message]) => text.test(message)));
    expect(used).toHaveLength(MESSAGES.length);
  });

  it("are recognized by Node's code", () => {
    for (const code of NETWORK) {
      const mapped = toStoreError(
        Object.assign(new Error("connect"), { code, syscall: "connect" }),
        "Redis",
      );
      expect(mapped, code).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    }
  });

  it("of a certificate that is not trusted last", () => {
    const error = Object.assign(new Error("self-signed"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    expect(toStoreError(error, "Redis")).toMatchObject({ code: "STORE_FAILED", retryable: false });
  });

  it("of a cluster are recognized by its last node's", () => {
    const lastNodeError = new Error("WRONGPASS invalid username-password pair");
    const error = Object.assign(new Error("Failed to refresh slots cache."), { lastNodeError });
    expect(toStoreError(error, "Redis")).toMatchObject({ code: "STORE_ACCESS_DENIED" });
  });

  it.each([new RangeError("other"), "a text", undefined])("%s is STORE_FAILED", (error) => {
    const mapped = toStoreError(error, "Redis");
    expect(mapped).toMatchObject({ code: "STORE_FAILED", retryable: false });
    expect(isNoScript(error)).toBe(false);
  });

  it("of this library stay as they are", () => {
    const error = new KcError("STORE_CLOSED", "disposed");
    expect(toStoreError(error, "Redis")).toBe(error);
  });
});
