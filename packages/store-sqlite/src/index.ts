export { SqliteStore } from "./sqlite-store.ts";
export type { SqliteStoreOptions } from "./options.ts";
export type { SqliteDatabase, SqliteStatement, SqliteValue } from "./driver.ts";
