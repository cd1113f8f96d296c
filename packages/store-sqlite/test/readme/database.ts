import { SqliteStore } from "@kc/store-sqlite";
import Database from "libsql"; // or better-sqlite3

const database = new Database("app.db", { timeout: 10 });
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");

const store = new SqliteStore({ database });
await store.setup(); // once, at deployment or at start-up: a second time does nothing
