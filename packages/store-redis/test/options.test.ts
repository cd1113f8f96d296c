import { ConfigError } from "@kc/core";
import { Cluster, Redis } from "ioredis";
import { afterAll, describe, expect, it } from "vitest";
import { RedisStore } from "../src/index.ts";

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(RedisStore, [options]);
  } catch (error) {
    return error;
  }
}

const url = "redis://127.0.0.1:1";
const client = new Redis(url, { lazyConnect: true });
const prefixed = client.duplicate({ keyPrefix: "app:" });
const node = { host: "127.0.0.1", port: 1 };
const prefixedCluster = new Cluster([node], {
  lazyConnect: true,
  redisOptions: { keyPrefix: "app:" },
});
afterAll(() => client.disconnect());

describe("new RedisStore", () => {
  it.each([
    ["url", {}, "a client of ioredis"],
    ["url", { url: "" }, "redis:// or rediss://"],
    ["url", { url: "localhost:6379" }, "redis:// or rediss://"],
    ["url", { url: "http://localhost" }, "redis:// or rediss://"],
    ["url", { url: "redis://:pass word@ho st" }, "redis:// or rediss://"],
    ["url", { url, client }, "not both"],
    ["client", { client: {} }, "a Redis or a Cluster"],
    ["client", { client: null }, "a Redis or a Cluster"],
    ["client", { client: prefixed }, "give that to RedisStore"],
    ["client", { client: prefixedCluster }, "give that to RedisStore"],
    ["prefix", { url, prefix: "a" }, "keyPrefix"],
    ["keyPrefix", { url, keyPrefix: 5 }, "must be a text"],
    ["keyPrefix", { url, keyPrefix: "\ud800" }, "must be a text"],
    ["keyPrefix", { url, keyPrefix: "a{" }, "no hash tag"],
    ["keyPrefix", { url, keyPrefix: "a}" }, "no hash tag"],
    ["keyPrefix", { url, keyPrefix: "{}:" }, "no hash tag"],
    ["timeoutMs", { url, timeoutMs: 0 }, "1 to 600000"],
    ["timeoutMs", { url, timeoutMs: 600_001 }, "1 to 600000"],
    ["timeoutMs", { url, timeoutMs: 0.5 }, "1 to 600000"],
    ["timeoutMs", { url, timeoutMs: "5" }, "1 to 600000"],
    ["searchForGo", { url, searchForGo: 1 }, "true or false"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it("keeps a password out of its errors", () => {
    expect(String(construct({ url: "http://user:secret@host" }))).not.toContain("secret");
  });

  it("connects nowhere before the first call", async () => {
    const store = new RedisStore({ client });
    await store[Symbol.asyncDispose]();
    expect(client.status).toBe("wait");
  });
});
