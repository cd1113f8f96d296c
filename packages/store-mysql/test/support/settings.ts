import type { PoolOptions } from "mysql2";
import { UNAVAILABLE } from "./store.ts";

/** What a pool's owner may have set for purposes of their own. */
export const POOLS: Readonly<Record<string, PoolOptions>> = {
  "one connection": { connectionLimit: 1 },
  "decimals as doubles": { decimalNumbers: true },
  "big numbers as they may be": { supportBigNumbers: true, bigNumberStrings: false },
  "rows as arrays": { rowsAsArray: true },
  "nested tables": { nestTables: true },
  "joined table names": { nestTables: "_" },
  "no type cast": { typeCast: false },
  "a type cast of their own": { typeCast: () => "theirs" },
  "named placeholders": { namedPlaceholders: true },
  "a format of their own": { queryFormat: (sql: string) => sql.replaceAll("?", "theirs") },
  "found rows": { flags: ["FOUND_ROWS"] },
  "no found rows": { flags: ["-FOUND_ROWS"] },
  "another character set": { charset: "latin1_swedish_ci" },
  "several statements": { multipleStatements: true },
  "objects as text": { stringifyObjects: true },
  "dates as texts": { dateStrings: ["DATE", "DATETIME"] },
  "big numbers as texts": { supportBigNumbers: true, bigNumberStrings: true },
  compression: { compress: true },
  "no idle connection": { maxIdle: 1, idleTimeout: 1 },
  "another time zone": { timezone: "-11:00", dateStrings: true },
};

/** What a session may have been set to, by the pool's owner or the server. */
export const SESSIONS: readonly string[] = [
  "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
  "SET sql_mode = ''",
  "SET sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES'",
  "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
  "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
  "SET time_zone = '+09:00'",
  "SET NAMES latin1",
  "SET sql_safe_updates = 1",
  "SET sql_mode = 'TRADITIONAL,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION'",
  "SET sql_mode = 'ANSI,REAL_AS_FLOAT,IGNORE_SPACE,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
  "SET NAMES utf8mb3",
  "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci",
  "SET collation_connection = latin1_german2_ci",
  "SET character_set_results = NULL",
  "SET character_set_connection = ucs2",
  "SET innodb_lock_wait_timeout = 1",
  "SET group_concat_max_len = 4",
  "SET foreign_key_checks = 0, unique_checks = 0",
  "SET sql_auto_is_null = 1",
  "SET completion_type = 1",
  "SET completion_type = 2",
  "SET sql_select_limit = 1",
  "SET /*!80000 sql_mode = '' */ /*M! sql_mode = 'SIMULTANEOUS_ASSIGNMENT' */",
];

/** What is refused, by which error, and what its text names. */
export const REFUSED = [
  ["SET SESSION TRANSACTION READ ONLY", UNAVAILABLE, "transaction_read_only"],
  [
    "SET sql_big_selects = 0, max_join_size = 1",
    { code: "STORE_FAILED", retryable: false },
    "max_join_size",
  ],
] as const;

/** What a server may be set to. All are tried in `settings.test.ts`. */
export const OF_THE_SERVER = ["lower_case_table_names", "read_only", "super_read_only"] as const;
