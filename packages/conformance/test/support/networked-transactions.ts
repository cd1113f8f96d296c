import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import {
  StoreError,
  type CallOptions,
  type CheckpointInResult,
  type StoreScope,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import type { ServerAddress, TransactionalStoreHarness } from "../../src/index.ts";
import { abortable, onMessage, send } from "./networked-store.ts";
import {
  ReferenceTx,
  TransactionalReference,
  TransactionalServer,
} from "./reference-transactions.ts";

/** What a client asks. */
type Request =
  | { readonly kind: "begin" | "commit" | "rollback" }
  | { readonly kind: "effect"; readonly name: string }
  | { readonly kind: "last"; readonly scope: StoreScope; readonly write: TransactionalWrite }
  | { readonly kind: "read"; readonly scope: StoreScope; readonly shardId: string };

interface Reply {
  readonly answer?: unknown;
  readonly failure?: string;
}

/** The server of the transactional reference, over TCP: a session has a transaction, or none. */
class TransactionsServer {
  readonly data = new TransactionalServer();
  readonly #engine = new TransactionalReference(this.data);
  readonly #listener = createServer((socket) => this.#serve(socket));
  readonly #idleMs: number;

  /** @param idleMs a session whose transaction waits longer for its next statement is ended */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  async start(): Promise<ServerAddress> {
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    const { address, port } = this.#listener.address() as AddressInfo;
    return { host: address, port };
  }

  close(): void {
    this.#listener.close();
  }

  #serve(socket: Socket): void {
    let tx: ReferenceTx | undefined;
    let idle: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(idle);
      tx?.end();
      tx = undefined;
    };
    const handle = async (request: Request): Promise<unknown> => {
      if (request.kind === "read")
        return this.#engine.getCheckpoint(request.scope, request.shardId);
      if (request.kind === "begin") {
        // A session that has a transaction goes on with it.
        tx ??= new ReferenceTx(this.data);
        return undefined;
      }
      if (tx === undefined) throw new Error("there is no transaction");
      if (request.kind === "effect") {
        const { name } = request;
        return tx.write(() => this.data.effects.push(name));
      }
      if (request.kind === "last") {
        return this.#engine.lastStatement(tx, request.scope, request.write);
      }
      if (request.kind === "commit") await this.#engine.commit(tx);
      return end();
    };
    let last: Promise<void> = Promise.resolve();
    onMessage(socket, (request) => {
      clearTimeout(idle);
      last = last.then(async () => {
        const reply: Reply = await handle(request as Request).then(
          (answer) => ({ answer }),
          (error: unknown) => ({ failure: String(error) }),
        );
        if (socket.destroyed) return end();
        send(socket, reply);
        if (tx !== undefined) idle = setTimeout(() => socket.destroy(), this.#idleMs);
      });
    });
    socket.on("close", end).on("error", () => undefined);
  }
}

/** What the work of a transaction writes with. */
export interface NetworkedTx {
  effect(name: string): Promise<unknown>;
}

/** A client with one connection, and one transaction at a time. Each mutant breaks a step. */
export class NetworkedTransactions {
  readonly #address: ServerAddress;
  #socket: Socket | undefined;
  #replies: ((reply: Reply) => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  getCheckpoint(scope: StoreScope, shardId: string): Promise<unknown> {
    return this.ask({ kind: "read", scope, shardId });
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: NetworkedTx) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    const signal = options?.signal;
    const run = this.#last.then(() => abortable(this.#run(scope, write, work), signal));
    this.#last = run.catch(() => signal?.aborted && this.aborted());
    return run;
  }

  async #run<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: NetworkedTx) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    await this.ask({ kind: "begin" });
    const value = await work({ effect: (name) => this.ask({ kind: "effect", name }) });
    const result = (await this.ask({ kind: "last", scope, write })) as CheckpointInResult;
    if (result.outcome !== "written") {
      await this.ask({ kind: "rollback" });
      return result;
    }
    await this.commit();
    return { outcome: "committed", value };
  }

  async commit(): Promise<void> {
    await this.ask({ kind: "commit" });
  }

  /** The connection's state is not known. */
  aborted(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async ask(request: Request): Promise<unknown> {
    const socket = (this.#socket ??= this.#connect());
    send(socket, request);
    const reply = await new Promise<Reply>((resolve) => this.#replies.push(resolve));
    if (reply.failure === undefined) return reply.answer;
    throw new StoreError("STORE_UNAVAILABLE", reply.failure, { retryable: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const socket = connect({ ...this.#address });
    const replies: ((reply: Reply) => void)[] = [];
    this.#replies = replies;
    socket.on("error", () => undefined);
    onMessage(socket, (reply) => replies.shift()?.(reply as Reply));
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
      for (const reply of replies.splice(0)) reply({ failure: "the connection is closed" });
    });
    return socket;
  }
}

/** A server of its own, with clients of the class given. */
export async function networkedTransactionsHarness(
  Class: new (address: ServerAddress) => NetworkedTransactions = NetworkedTransactions,
  idleMs = 100,
): Promise<TransactionalStoreHarness> {
  const server = new TransactionsServer(idleMs);
  const address = await server.start();
  const stores: NetworkedTransactions[] = [];
  const openAt = async ([at]: readonly ServerAddress[]): Promise<TransactionalStore> => {
    const store = new Class(at!);
    stores.push(store);
    return store as unknown as TransactionalStore;
  };
  return {
    servers: [address],
    open: () => openAt([address]),
    openAt,
    leaseMs: 1000,
    apply: (tx, effect) => (tx as NetworkedTx).effect(effect) as Promise<void>,
    effects: async () => [...server.data.effects],
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
      server.close();
    },
  };
}
