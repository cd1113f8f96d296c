import { describeError, KcError, printable, StoreError } from "@kc/core";
import {
  classifySdkError,
  errorsIn,
  isPassingInLibrary,
  permanentFailure,
  retryableFailure,
  type StoreFailure,
} from "@kc/core/adapter";

const LOCK = retryableFailure("another transaction holds the lock");
const UNREACHABLE = retryableFailure("the server cannot be reached");
const OVERLOADED = retryableFailure("the server or the pool has no free connection");
const STOPPING = retryableFailure("the server is shutting down, or ended the connection");
const TOO_SLOW = retryableFailure("the server cancelled the statement");
const READ_ONLY = retryableFailure(
  "the server is read-only: a replica, a primary that is failing over, or transaction_read_only is on",
);
const NO_ROOM = retryableFailure("the server has no space or memory left: free some");
const NOT_READY = retryableFailure(
  "the node, or the proxy in front of the server, cannot serve now: it is joining its cluster, or failing over",
);
const LOCKED_TO_HOSTGROUP = retryableFailure(
  "ProxySQL has locked the connection to another hostgroup: route all statements of this user to the writer",
);
const LIMITED = permanentFailure(
  "STORE_FAILED",
  "sql_big_selects is off and max_join_size too small for 1,000 shards: raise it for this user",
);
const TOO_LARGE = permanentFailure("STORE_FAILED", "raise max_allowed_packet: 1 MB is enough");
const LOGIN = permanentFailure("STORE_ACCESS_DENIED", "check user, password, host and TLS");
const RIGHTS = permanentFailure(
  "STORE_ACCESS_DENIED",
  "grant this user SELECT, INSERT, UPDATE and DELETE on the tables",
);
const SCHEMA = permanentFailure(
  "STORE_SCHEMA",
  "the tables are missing or have other columns: run `await store.setup()` once",
);
const NO_DATABASE = permanentFailure("STORE_SCHEMA", "name the database that the tables are in");
const ENDED = permanentFailure("STORE_CLOSED", "the pool was closed by its owner");

/**
 * The server's error numbers and names, and what each means for the store. Numbers from 2000 to 2999 are client
 * errors, which proxies in front of the server pass on. Numbers from 9000 on are a proxy's own.
 */
export const SERVER_ERRORS: readonly (readonly [number, string, StoreFailure])[] = [
  [3, "EE_WRITE", NO_ROOM],
  [1020, "ER_CHECKREAD", LOCK],
  [1021, "ER_DISK_FULL", NO_ROOM],
  [1026, "ER_ERROR_ON_WRITE", NO_ROOM],
  [1030, "ER_GET_ERRNO", NO_ROOM],
  [1037, "ER_OUTOFMEMORY", NO_ROOM],
  [1038, "ER_OUT_OF_SORTMEMORY", NO_ROOM],
  [1040, "ER_CON_COUNT_ERROR", OVERLOADED],
  [1041, "ER_OUT_OF_RESOURCES", NO_ROOM],
  [1043, "ER_HANDSHAKE_ERROR", UNREACHABLE],
  [1044, "ER_DBACCESS_DENIED_ERROR", LOGIN],
  [1045, "ER_ACCESS_DENIED_ERROR", LOGIN],
  [1046, "ER_NO_DB_ERROR", NO_DATABASE],
  [1047, "ER_UNKNOWN_COM_ERROR", NOT_READY],
  [1049, "ER_BAD_DB_ERROR", NO_DATABASE],
  [1053, "ER_SERVER_SHUTDOWN", STOPPING],
  [1054, "ER_BAD_FIELD_ERROR", SCHEMA],
  [1104, "ER_TOO_BIG_SELECT", LIMITED],
  [1105, "ER_UNKNOWN_ERROR", NOT_READY],
  [1114, "ER_RECORD_FILE_FULL", NO_ROOM],
  [1129, "ER_HOST_IS_BLOCKED", UNREACHABLE],
  [1130, "ER_HOST_NOT_PRIVILEGED", LOGIN],
  [1135, "ER_CANT_CREATE_THREAD", OVERLOADED],
  [1142, "ER_TABLEACCESS_DENIED_ERROR", RIGHTS],
  [1143, "ER_COLUMNACCESS_DENIED_ERROR", RIGHTS],
  [1146, "ER_NO_SUCH_TABLE", SCHEMA],
  [1152, "ER_ABORTING_CONNECTION", STOPPING],
  [1153, "ER_NET_PACKET_TOO_LARGE", TOO_LARGE],
  [1158, "ER_NET_READ_ERROR", UNREACHABLE],
  [1159, "ER_NET_READ_INTERRUPTED", UNREACHABLE],
  [1160, "ER_NET_ERROR_ON_WRITE", UNREACHABLE],
  [1161, "ER_NET_WRITE_INTERRUPTED", UNREACHABLE],
  [1176, "ER_KEY_DOES_NOT_EXITS", SCHEMA],
  [1180, "ER_ERROR_DURING_COMMIT", STOPPING],
  [1184, "ER_NEW_ABORTING_CONNECTION", STOPPING],
  [1203, "ER_TOO_MANY_USER_CONNECTIONS", OVERLOADED],
  [1205, "ER_LOCK_WAIT_TIMEOUT", LOCK],
  [1206, "ER_LOCK_TABLE_FULL", NO_ROOM],
  [1213, "ER_LOCK_DEADLOCK", LOCK],
  [1226, "ER_USER_LIMIT_REACHED", OVERLOADED],
  [1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", RIGHTS],
  [1290, "ER_OPTION_PREVENTS_STATEMENT", READ_ONLY],
  [1317, "ER_QUERY_INTERRUPTED", TOO_SLOW],
  [1364, "ER_NO_DEFAULT_FOR_FIELD", SCHEMA],
  [1412, "ER_TABLE_DEF_CHANGED", LOCK],
  [1637, "ER_TOO_MANY_CONCURRENT_TRXS", OVERLOADED],
  [1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", LOGIN],
  [1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", READ_ONLY],
  [1820, "ER_MUST_CHANGE_PASSWORD", LOGIN],
  [1836, "ER_READ_ONLY_MODE", READ_ONLY],
  [1862, "ER_MUST_CHANGE_PASSWORD_LOGIN", LOGIN],
  [1927, "ER_CONNECTION_KILLED", STOPPING],
  [1969, "ER_STATEMENT_TIMEOUT", TOO_SLOW],
  [1999, "ER_TENCENTDB_PROXY", NOT_READY],
  [2002, "CR_CONNECTION_ERROR", UNREACHABLE],
  [2003, "CR_CONN_HOST_ERROR", UNREACHABLE],
  [2006, "CR_SERVER_GONE_ERROR", UNREACHABLE],
  [2013, "CR_SERVER_LOST", UNREACHABLE],
  [3024, "ER_QUERY_TIMEOUT", TOO_SLOW],
  [3032, "ER_SERVER_OFFLINE_MODE", STOPPING],
  [3100, "ER_RUN_HOOK_ERROR", NOT_READY],
  [3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", LOCK],
  [3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", LOGIN],
  [3159, "ER_SECURE_TRANSPORT_REQUIRED", LOGIN],
  [3169, "ER_SESSION_WAS_KILLED", STOPPING],
  [3572, "ER_LOCK_NOWAIT", LOCK],
  [4031, "ER_CLIENT_INTERACTION_TIMEOUT", STOPPING],
  [9001, "ER_PROXYSQL_MAX_CONN_TIMEOUT", NOT_READY],
  [9002, "ER_PROXYSQL_MAX_CONN_FAILURE", NOT_READY],
  [9004, "ER_PROXYSQL_BACKEND_OFFLINE", NOT_READY],
  [9006, "ER_PROXYSQL_LOCKED_TO_HOSTGROUP", LOCKED_TO_HOSTGROUP],
  [9501, "ER_RDS_PROXY", NOT_READY],
];

/** Errors of the network and of mysql2. */
export const CLIENT_ERRORS: readonly (readonly [string, StoreFailure])[] = [
  ["ECONNREFUSED", UNREACHABLE],
  ["ECONNRESET", UNREACHABLE],
  ["ECONNABORTED", UNREACHABLE],
  ["EPIPE", UNREACHABLE],
  ["ETIMEDOUT", UNREACHABLE],
  ["EHOSTUNREACH", UNREACHABLE],
  ["EHOSTDOWN", UNREACHABLE],
  ["ENETUNREACH", UNREACHABLE],
  ["ENETDOWN", UNREACHABLE],
  ["EADDRNOTAVAIL", UNREACHABLE],
  ["EMFILE", OVERLOADED],
  ["ENOTFOUND", UNREACHABLE],
  ["EAI_AGAIN", UNREACHABLE],
  ["PROTOCOL_CONNECTION_LOST", UNREACHABLE],
  ["PROTOCOL_SEQUENCE_TIMEOUT", TOO_SLOW],
  ["HANDSHAKE_NO_SSL_SUPPORT", LOGIN],
];

/** Texts of errors for which mysql2 has no code. */
export const CLIENT_TEXTS: readonly (readonly [string, StoreFailure])[] = [
  ["Pool is closed.", ENDED],
  ["Queue limit reached.", OVERLOADED],
  ["No connections available.", OVERLOADED],
  ["Can't add new command when connection is in closed state", UNREACHABLE],
];

const BY_NUMBER = new Map(SERVER_ERRORS.map(([number, , meaning]) => [number, meaning]));
const BY_CODE = new Map(CLIENT_ERRORS);
const UNKNOWN = permanentFailure("STORE_FAILED", "the call failed in a way that is not known here");

/** Whether another transaction held a lock, or this one was the victim of a deadlock. It can be tried again. */
export function isLock(error: unknown): boolean {
  return meaningOf(error) === LOCK;
}

/** Whether this transaction was the victim of a deadlock. The other one's locks may be released by now. */
export function isDeadlock(error: unknown): boolean {
  return isLock(error) && serverNumber(error) !== 1205;
}

/** Errors of the statement itself: it asked for NOWAIT (3572), or a function refused its arguments (1105). */
const STATEMENT_ERRORS: ReadonlySet<number | undefined> = new Set([3572, 1105]);
const RETRYABLE: ReadonlySet<StoreFailure> = new Set([
  LOCK,
  UNREACHABLE,
  OVERLOADED,
  STOPPING,
  NOT_READY,
]);

/**
 * Whether a transaction that failed with this error may succeed if it is run again.
 * @param counts which of the wrapped errors count @default all
 */
export function isTransient(error: unknown, counts = (_each: object): boolean => true): boolean {
  return errorsIn(error).some((each) => counts(each) && isPassingItself(each));
}

function isPassingItself(error: object): boolean {
  if (KcError.is(error)) return error.retryable;
  if (isPassingInLibrary(error)) return true;
  const { fatal, message } = error as Readonly<Record<string, unknown>>;
  const number = serverNumber(error);
  if (number === undefined) {
    const meaning = meaningOf(error);
    if (meaning === OVERLOADED) return true;
    return (fatal === true || hasConnectionState(error)) && meaning === UNREACHABLE;
  }
  // Other server options use the same number.
  if (number === 1290 || number === 1836) return String(message).includes("read-only");
  return RETRYABLE.has(BY_NUMBER.get(number) ?? UNKNOWN) && !STATEMENT_ERRORS.has(number);
}

/** An error that `isTransient` as a retryable StoreError. A KcError is returned as it is. */
export function retryableError(error: unknown): KcError {
  if (KcError.is(error)) return error;
  const text = `MySQL: the transaction has to be run again (${describe(error)})`;
  return new StoreError("STORE_UNAVAILABLE", text, { retryable: true, cause: error });
}

/** Whether the error came from the server itself. */
export function isAnswered(error: unknown): boolean {
  return serverNumber(error) !== undefined;
}

/** Whether another connection inserted the row first. */
export function isDuplicate(error: unknown): boolean {
  return serverNumber(error) === 1062;
}

/** Whether another process added the column first. */
export function isDuplicateColumn(error: unknown): boolean {
  return serverNumber(error) === 1060;
}

export function isMissingTable(error: unknown): boolean {
  return serverNumber(error) === 1146;
}

/** Whether a transaction was open on the connection already. */
export function isInTransaction(error: unknown): boolean {
  return serverNumber(error) === 1568;
}

/** The same for an error that a library may have wrapped. */
export function isWrappedInTransaction(error: unknown): boolean {
  return errorsIn(error).some(isInTransaction);
}

export function isMissingSavepoint(error: unknown): boolean {
  return serverNumber(error) === 1305;
}

/** Converts the error of mysql2, or of a library around it, to a StoreError. A KcError is returned as it is. */
export function toStoreError(error: unknown): KcError {
  if (KcError.is(error)) return error;
  const known = errorsIn(error).find((each) => meaningOf(each) !== UNKNOWN);
  const { code, retryable, advice } = meaningOf(known ?? error);
  return new StoreError(code, `MySQL: ${advice} (${describe(error)})`, { retryable, cause: error });
}

/** The server's error number. A number without an SQL state is the operating system's, such as -111 or 110. */
function serverNumber(error: unknown): number | undefined {
  const { errno, sqlState, originalCode } = Object(error) as Readonly<Record<string, unknown>>;
  if (typeof errno === "number" && typeof sqlState === "string") return errno;
  // Prisma's driver adapters put the number there.
  const isNumber = typeof originalCode === "string" && /^\d{4}$/.test(originalCode);
  return isNumber ? Number(originalCode) : undefined;
}

/** Whether the SQL state is of class 08, connections. MariaDB's driver has its own numbers for these errors. */
function hasConnectionState(error: unknown): boolean {
  const { state } = Object(error) as { readonly state?: unknown };
  return typeof state === "string" && state.startsWith("08");
}

function meaningOf(error: unknown): StoreFailure {
  const number = serverNumber(error);
  const byNumber = number === undefined ? undefined : BY_NUMBER.get(number);
  if (byNumber === undefined && hasConnectionState(error)) return UNREACHABLE;
  if (!(error instanceof Error)) return byNumber ?? UNKNOWN;
  const { code } = error as Error & { code?: unknown };
  const byCode = typeof code === "string" ? BY_CODE.get(code) : undefined;
  // Knex puts the statement before the text.
  const byText = CLIENT_TEXTS.find(([text]) => error.message.endsWith(text))?.[1];
  const known = byNumber ?? byCode ?? byText;
  if (known !== undefined) return known;
  // Network errors that the table does not name: no buffers, a firewall's refusal.
  const isNetwork = number === undefined && classifySdkError(error) === "transient";
  return isNetwork ? UNREACHABLE : UNKNOWN;
}

/** The server's messages quote no more of a statement than names, so they contain none of our values. */
function describe(error: unknown): string {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === "string" && error instanceof Error
    ? `${code}: ${printable(error.message)}`
    : describeError(error);
}
