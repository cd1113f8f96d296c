import type { StoreError } from "@kc/core";
import { misused } from "@kc/core/adapter";
import { hashTag } from "./keys.ts";

/** A string is sent as UTF-8, a number as decimal digits; bytes are copied when the command is added. */
export type RedisValue = string | number | Uint8Array;

/**
 * Collects the commands of a handler of `scanTransaction`. The server runs them in one script with the checkpoint, after
 * the handler has returned. **Redis does not roll back a script**: if a command fails, the effects of those before it
 * remain, the checkpoint is not written, and they run again with the batch.
 */
export interface RedisTransaction {
  /** A key for the handler in the shard's slot. It never equals one of the store's keys. */
  key(name: string): string;
  /**
   * Adds a command that writes one key.
   * @param name one of the commands that the README lists, in any case: `RPUSH`
   * @param key in a cluster, a key with the shard's hash tag: see `key`
   * @throws StoreError TRANSACTION_MISUSED for another command, key or value, and after the handler has returned. Do
   * not catch it: the transaction is refused in any case
   */
  command(name: string, key: string, ...args: readonly RedisValue[]): void;
}

/** Commands that write, do not block, and whose first argument is their only key. */
export const COMMANDS: ReadonlySet<string> = new Set(
  [
    "SET SETEX PSETEX SETNX GETSET APPEND SETRANGE INCR INCRBY INCRBYFLOAT DECR DECRBY SETBIT BITFIELD",
    "HSET HSETNX HMSET HINCRBY HINCRBYFLOAT HDEL",
    "LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LINSERT LREM LTRIM",
    "SADD SREM SPOP",
    "ZADD ZINCRBY ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX ZPOPMIN ZPOPMAX",
    "XADD XDEL XTRIM XACK PFADD GEOADD",
    "EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST",
  ]
    .join(" ")
    .split(" "),
);

/** Lua's `unpack` cannot pass on more values. */
const MAX_ARGUMENTS = 4000;
/** Redis 6 and older close the connection at 1,048,576 parts of one command, including the store's own arguments. */
const MAX_PARTS = 1_048_000;

export interface TransactionPlace {
  readonly shardId: string;
  /** The store's own keys, which no command may use. */
  readonly own: readonly [checkpoint: string, companion: string];
  readonly keyOf: (name: string) => string;
  readonly isCluster: boolean;
}

export class CollectedCommands implements RedisTransaction {
  /** The key of each command. */
  readonly keys: string[] = [];
  /** For each command its name, the number of values after its key, and the values. */
  readonly args: (string | Buffer)[] = [];
  readonly #place: TransactionPlace;
  #isEnded = false;
  #refused: StoreError | undefined;

  constructor(place: TransactionPlace) {
    this.#place = place;
  }

  key(name: string): string {
    return this.#place.keyOf(name);
  }

  command(name: string, key: string, ...args: readonly RedisValue[]): void {
    if (this.#isEnded) {
      throw this.#misused("the transaction has ended: await everything in the handler");
    }
    const command = name.toUpperCase();
    if (!COMMANDS.has(command)) {
      throw this.#misused(
        `${command} cannot be used in a transaction, which takes only commands that write one key: the README of ` +
          "@kc/store-redis lists them",
      );
    }
    this.#checkKey(command, key);
    if (args.length > MAX_ARGUMENTS) {
      throw this.#misused(
        `${command} has more than ${MAX_ARGUMENTS} values: split it into several commands`,
      );
    }
    if (this.keys.length + this.args.length + args.length + 3 > MAX_PARTS) {
      throw this.#misused(
        `a transaction of Redis takes ${MAX_PARTS} keys and values, and three parts of each command count: ` +
          "lower maxRecords",
      );
    }
    const values = args.map((value) => this.#valueOf(command, value));
    this.keys.push(key);
    this.args.push(command, String(values.length), ...values);
  }

  /** @throws StoreError TRANSACTION_MISUSED if a command was refused and the handler caught the error */
  throwIfRefused(): void {
    if (this.#refused !== undefined) throw this.#refused;
  }

  /** Commands that are added later are refused. */
  end(): void {
    this.#isEnded = true;
  }

  #checkKey(command: string, key: unknown): void {
    const { own, isCluster } = this.#place;
    if (typeof key !== "string" || key === "") throw this.#misused(`${command} needs a key`);
    if (own.includes(key)) throw this.#misused(`${command}: that key is the store's own`);
    if (isCluster && slotTextOf(key) !== slotTextOf(own[1])) {
      throw this.#misused(
        `${command} ${key}: in a cluster all keys of a transaction must be in the shard's slot, that is, have its ` +
          `hash tag {${slotTextOf(own[1])}}: create them by tx.key(name), or give the store a keyPrefix with a ` +
          "hash tag, and your keys the same one",
      );
    }
  }

  #valueOf(command: string, value: unknown): string | Buffer {
    if (typeof value === "string") return value;
    if (typeof value === "number" && Number.isFinite(value)) return String(value);
    // A copy: the bytes are sent after the handler has returned, and it may have reused their memory.
    if (value instanceof Uint8Array) return Buffer.from(value);
    throw this.#misused(`${command}: a value must be a string, a finite number or bytes`);
  }

  #misused(why: string): StoreError {
    const error = misused(this.#place.shardId, why);
    this.#refused ??= error;
    return error;
  }
}

/** The part of a key from which the slot is computed. */
function slotTextOf(key: string): string {
  return hashTag(key) ?? key;
}

/** The error of a handler's command that the server refused, as `ioredis` would throw it. */
export function commandError(position: string, name: string, message: string): Error {
  const error = new Error(
    `${message} (${name}, command ${position} of the transaction; those before it took effect, and run again)`,
  );
  error.name = "ReplyError";
  return error;
}
