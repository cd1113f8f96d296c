import { ConfigError } from "@kc/core";
import { Cluster, Redis } from "ioredis";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
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
    ["connection", {}, "a client of ioredis"],
    ["connection", { connection: "" }, "redis:// or rediss://"],
    ["connection", { connection: "localhost:6379" }, "redis:// or rediss://"],
    ["connection", { connection: "http://localhost" }, "redis:// or rediss://"],
    ["connection", { connection: "redis://:pass word@ho st" }, "redis:// or rediss://"],
    ["connection", { connection: null }, "redis:// or rediss://"],
    ["connection", { connection: 6379 }, "redis:// or rediss://"],
    ["connection", { connection: `${url}?keyPrefix=a` }, "give that to RedisStore"],
    ["connection", { connection: { keyPrefix: "a" } }, "give that to RedisStore"],
    ["connection", { connection: url, client }, "not both"],
    ["url", { url }, "did you mean connection?"],
    ["client", { client: {} }, "a Redis or a Cluster"],
    ["client", { client: null }, "a Redis or a Cluster"],
    ["client", { client: prefixed }, "give that to RedisStore"],
    ["client", { client: prefixedCluster }, "give that to RedisStore"],
    ["prefix", { connection: url, prefix: "a" }, "keyPrefix"],
    ["keyPrefix", { connection: url, keyPrefix: 5 }, "must be a string"],
    ["keyPrefix", { connection: url, keyPrefix: "\ud800" }, "must be a string"],
    ["keyPrefix", { connection: url, keyPrefix: "a{" }, "no hash tag"],
    ["keyPrefix", { connection: url, keyPrefix: "a}" }, "no hash tag"],
    ["keyPrefix", { connection: url, keyPrefix: "{}:" }, "no hash tag"],
    ["timeoutMs", { connection: url, timeoutMs: 0 }, "1 to 600000"],
    ["timeoutMs", { connection: url, timeoutMs: 600_001 }, "1 to 600000"],
    ["timeoutMs", { connection: url, timeoutMs: 0.5 }, "1 to 600000"],
    ["timeoutMs", { connection: url, timeoutMs: "5" }, "1 to 600000"],
    ["searchForGo", { connection: url, searchForGo: 1 }, "true or false"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it("asks sentinels for the primary, and reports where none answers", async () => {
    const sentinels = [node];
    const store = new RedisStore({ connection: { sentinels, name: "orders" }, timeoutMs: 5000 });
    onTestFinished(() => store[Symbol.asyncDispose]());
    const scope = { application: "billing", streamName: "orders" };
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      retryable: true,
      message: expect.stringMatching(
        /^Redis primary orders of 127\.0\.0\.1:1: no sentinel can be reached/,
      ),
    });
  });

  it("keeps a password out of its errors", () => {
    expect(String(construct({ connection: "http://user:secret@host" }))).not.toContain("secret");
  });

  it("connects nowhere before the first call", async () => {
    const store = new RedisStore({ client });
    await store[Symbol.asyncDispose]();
    expect(client.status).toBe("wait");
  });
});
