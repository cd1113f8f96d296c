import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { ApplicationKeys, hashTag } from "../src/keys.ts";
import { connect, openStore, ownScope, SHARD } from "./support/redis.ts";

const keysOf = (application: string, streamName = "orders", keyPrefix = ""): ApplicationKeys =>
  new ApplicationKeys(keyPrefix, { application, streamName });

/** What decides a key's slot: see the cluster's tests for the slots themselves. */
const slotText = (key: string): string => hashTag(key) ?? key;

describe("keys", () => {
  it("are Go's for every name that Kinesis allows", () => {
    expect(keysOf("my app:1", "a_B-9.c").shard("shardId-000000000012")[0]).toBe(
      "my app:1:checkpoint:a_B-9.c:shardId-000000000012",
    );
  });

  it.each([
    "billing",
    "{billing}",
    "{tag}:{other}",
    "a:b",
    "a{b",
    "$1 ${x}",
    "{a}b}",
    "a:checkpoint:b",
  ])("of a shard of %s are in one slot, the application's are its own", (application) => {
    const keys = keysOf(application);
    const [checkpoint, companion] = keys.shard(SHARD);
    expect(slotText(companion)).toBe(slotText(checkpoint));
    expect(new Set([checkpoint, companion, keys.application]).size).toBe(3);
  });

  it("of different names are different, and are no companion of another key", () => {
    const parts = ["a", "b", "checkpoint", "a:checkpoint:b", "b:c", ":", "", "kc/shard", "{a}"];
    const scopes = parts.flatMap((application) =>
      parts.map((stream) => keysOf(application, stream)),
    );
    const all = scopes.flatMap((keys) => [
      keys.application,
      ...parts.flatMap((shardId) => keys.shard(shardId)),
    ]);
    expect(new Set(all).size).toBe(all.length);
  });

  it("name their shard, and other keys name none", () => {
    const keys = keysOf("a*b", "orders", "p:");
    for (const shardId of [SHARD, "s:{y}", "s%", "ü", "a/b"]) {
      const [checkpoint, companion] = keys.shard(shardId);
      expect(keys.shardIdOf(checkpoint)).toBe(shardId);
      expect(keys.shardIdOf(companion)).toBeUndefined();
    }
    const others = [keys.application, "p:a*b:checkpoint:orders:", "p:a*b:checkpoint:orders:%ff"];
    others.push("p:a*b:checkpoint:orders:x:checkpoint:y:z", "p:a*b:checkpoint:ordersx:y");
    for (const key of others) expect(keys.shardIdOf(key), key).toBeUndefined();
  });

  it.each(["a}b", "a{}b", "{}", "{}{a}", "}a{"])("refuse the application %s", (application) => {
    expect(() => keysOf(application)).toThrow(ConfigError);
    // A prefix that settles the slot makes room for any name.
    const [checkpoint, companion] = keysOf(application, "orders", "{kc}:").shard(SHARD);
    expect([slotText(checkpoint), slotText(companion)]).toStrictEqual(["kc", "kc"]);
  });

  it("refuse half a character, which would become the same as every other half", () => {
    expect(() => keysOf("a\ud800")).toThrow(ConfigError);
    expect(() => keysOf("a", "b\udc00")).toThrow(ConfigError);
    expect(() => keysOf("a").shard("\udc00")).toThrow(ConfigError);
  });
});

describe("a name", () => {
  it.each(["*", "?", "[a-z]", "\\", "a\\*", "^"])(
    "of %s finds its own keys alone, though SCAN takes patterns",
    async (name) => {
      const client = connect();
      const { application } = ownScope();
      const own = `${application}${name}:checkpoint:orders:${SHARD}`;
      await client.mset(own, "1", `${application}x:checkpoint:orders:shardId-2`, "2");
      const store = openStore({ client });
      const scope = { application: application + name, streamName: "orders" };
      expect([...(await store.getCheckpoints(scope)).keys()]).toStrictEqual([SHARD]);
    },
  );

  it("is data, not Lua, not a command", async () => {
    const client = connect();
    const { application } = ownScope();
    const scope = {
      application: `${application}']] redis.call('FLUSHALL') --\r\nFLUSHALL\r\n`,
      streamName: "orders",
    };
    await client.set(`${application}:witness`, "here");
    const store = openStore({ client });
    await store.resetCheckpoint(scope, "']] error() --", { kind: "shard-end" });
    expect([...(await store.getCheckpoints(scope)).keys()]).toStrictEqual(["']] error() --"]);
    expect(await client.get(`${application}:witness`)).toBe("here");
  });
});
