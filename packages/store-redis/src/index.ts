export { RedisStore } from "./redis-store.ts";
export type { RedisStoreOptions } from "./options.ts";
export type { RedisClient, RedisNode, RedisPipeline } from "./client.ts";
