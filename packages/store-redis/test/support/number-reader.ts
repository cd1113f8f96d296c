import type { NumberReader } from "@kc/conformance";
import type { Cluster, Redis } from "ioredis";
import { ApplicationKeys } from "../../src/keys.ts";

/** The Go library's own read and write, of keys with a prefix. */
export function numberReader(client: Redis | Cluster, keyPrefix: string): NumberReader {
  return {
    async read(scope, shardId) {
      const [checkpoint] = new ApplicationKeys(keyPrefix, scope).shard(shardId);
      return (await client.get(checkpoint)) ?? undefined;
    },
    async write(scope, shardId, sequenceNumber) {
      const [checkpoint] = new ApplicationKeys(keyPrefix, scope).shard(shardId);
      await client.set(checkpoint, sequenceNumber);
    },
  };
}
