import type {
  CallOptions,
  Position,
  StoreScope,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { checkNotRegressed, joined, unlessAborted } from "@kc/core/adapter";
import type { Applications } from "./applications.ts";
import type { Calls } from "./calls.ts";
import { textsOf } from "./replies.ts";
import type { ShardReply } from "./rows.ts";
import { TRANSACT_SHARD } from "./statements.ts";
import { CollectedCommands, commandError, type RedisTransaction } from "./transaction.ts";

/** Runs the commands that a handler has collected in one script with the checkpoint. */
export class Transactions {
  readonly #calls: Calls;
  readonly #applications: Applications;

  constructor(calls: Calls, applications: Applications) {
    this.#calls = calls;
    this.#applications = applications;
  }

  /** @throws the error of a command, or what `work` throws */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
    { signal }: CallOptions = {},
  ): Promise<TransactionResult<Value>> {
    return joined([this.#calls.connection.closing, signal], (stop) =>
      this.#transactUntil(stop, scope, write, work),
    );
  }

  async #transactUntil<Value>(
    stop: AbortSignal,
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    const { isCluster } = this.#calls.connection;
    const { shardId } = write;
    const { keys } = this.#calls.memoryOf(scope);
    const own = keys.shard(shardId);
    const keyOf = (name: string): string => keys.userKey(shardId, name);
    const tx = new CollectedCommands({ shardId, own, keyOf, isCluster });
    let value: Value;
    try {
      value = await unlessAborted(stop, work(tx));
      tx.throwIfRefused();
    } finally {
      tx.end();
    }
    const shard = await this.#commit(scope, write, tx, { signal: stop });
    const { outcome, checkpoint } = shard;
    if (outcome === "written") return { outcome: "committed", value };
    if (outcome === "already-done" && checkpoint !== undefined) {
      return { outcome, stored: checkpoint };
    }
    if (outcome === "lease-lost") return { outcome };
    if (outcome === "behind") checkNotRegressed(write, checkpoint);
    throw new Error(`the script answered ${outcome}`);
  }

  /** @param relisted the removal after which this call has listed the shard again */
  async #commit(
    scope: StoreScope,
    write: TransactionalWrite,
    tx: CollectedCommands,
    options: CallOptions,
    relisted?: string,
  ): Promise<ShardReply> {
    const memory = this.#calls.memoryOf(scope);
    const { shardId, from, after } = write;
    await this.#applications.list(scope, [shardId], options);
    const call = {
      keys: [...memory.keys.shard(shardId), ...tx.keys],
      args: [
        ...memory.write(write, relisted),
        ...positionArguments(from),
        ...positionArguments(after),
        ...tx.args,
      ],
    };
    const [reply] = await this.#calls.connection.run(TRANSACT_SHARD, [call], options);
    const [outcome, position = "", name = "", message = ""] = textsOf(reply);
    if (outcome === "failed") throw commandError(position, name, message);
    const [shard] = this.#calls.learn(memory, [shardId], [reply]);
    if (shard!.outcome !== "gone") return shard!;
    return this.#commit(scope, write, tx, options, shard!.gone);
  }
}

/** A position as arguments of the script. */
function positionArguments(position: Position | undefined): readonly string[] {
  return [position?.sequenceNumber ?? "", String(position?.subSequenceNumber ?? "")];
}
