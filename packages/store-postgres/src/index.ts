export { PostgresStore } from "./postgres-store.ts";
export type { PostgresConnection, PostgresStoreOptions } from "./options.ts";
export type { PostgresClient, PostgresPool, PostgresTransaction } from "./driver.ts";
export {
  fromClient,
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromPrisma,
  type PostgresExecutor,
} from "./executors.ts";
