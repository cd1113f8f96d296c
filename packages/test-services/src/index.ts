export { type PostgresAddress, type PostgresServer, startPostgres } from "./postgres.ts";
export { type Proxy, startProxy } from "./proxy.ts";
export { type RedisAddress, type RedisOptions, type RedisServer, startRedis } from "./redis.ts";
export type { Address, Lifecycle } from "./server-process.ts";
export type { Services } from "./setup/services.ts";
