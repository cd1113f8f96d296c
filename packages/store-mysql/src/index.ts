export { MysqlStore } from "./mysql-store.ts";
export type { MysqlStoreOptions } from "./options.ts";
export type { MysqlCallbackPool, MysqlConnection, MysqlPool } from "./driver.ts";
export {
  fromConnection,
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromPrisma,
  type MysqlExecutor,
} from "./executors.ts";
