import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { deserialize, serialize } from "node:v8";
import {
  compareCheckpoints,
  MemoryStore,
  MemoryStoreData,
  StoreError,
  type LeaseStore,
} from "@kc/core";
import type { FrozenClientHarness, ServerAddress } from "../../src/index.ts";

/** What a client asks: a lock over all data, or a call of the store. */
type Request = { readonly lock: boolean } | { readonly call: string; readonly values: unknown[] };

/** A message on a socket: its length, then the value. */
export function send(socket: Socket, value: unknown): void {
  const body = serialize(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  socket.write(Buffer.concat([length, body]));
}

export function onMessage(socket: Socket, listener: (value: unknown) => void): void {
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE()) {
      const end = 4 + pending.readUInt32BE();
      listener(deserialize(pending.subarray(4, end)));
      pending = pending.subarray(end);
    }
  });
}

/** A MemoryStore as a server. While a connection has the lock, the others' requests wait. */
class NetworkedServer {
  readonly #data = new MemoryStoreData();
  readonly #store = new MemoryStore({ data: this.#data });
  readonly #listener = createServer((socket) => this.#serve(socket));
  #owner: Socket | undefined;
  #waiting: (() => void)[] = [];

  async start(): Promise<ServerAddress> {
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    const { address, port } = this.#listener.address() as AddressInfo;
    return { host: address, port };
  }

  async close(): Promise<void> {
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #serve(socket: Socket): void {
    const unlock = (): void => {
      if (this.#owner !== socket) return;
      this.#owner = undefined;
      for (const again of this.#waiting.splice(0)) again();
    };
    const handle = (request: Request): void => {
      if (this.#owner !== undefined && this.#owner !== socket) {
        this.#waiting.push(() => handle(request));
        return;
      }
      if ("call" in request) {
        void this.#call(request).then((reply) => send(socket, reply));
        return;
      }
      if (request.lock) this.#owner = socket;
      else unlock();
      send(socket, {});
    };
    onMessage(socket, (request) => handle(request as Request));
    socket.on("close", unlock).on("error", () => undefined);
  }

  async #call({ call, values }: { call: string; values: unknown[] }): Promise<object> {
    if (call === "unfenced") {
      const [scope, writes] = values as Parameters<LeaseStore["setCheckpoints"]>;
      for (const { shardId, checkpoint } of writes) {
        const shard = this.#data.shard(scope, shardId);
        const { checkpoint: stands = checkpoint } = shard;
        if (compareCheckpoints(checkpoint, stands) >= 0) shard.checkpoint = checkpoint;
      }
      return {
        answer: writes.map(({ checkpoint }) => ({ outcome: "written", stored: checkpoint })),
      };
    }
    if (call === "setup") return {};
    const operation = Reflect.get(this.#store, call) as (...p: unknown[]) => Promise<unknown>;
    return operation.apply(this.#store, values).then(
      (answer) => ({ answer }),
      (error: unknown) => ({ failure: String(error) }),
    );
  }
}

/** What becomes of a call: the messages that it sends, one after another. */
export type Protocol = (call: string, values: unknown[]) => readonly Request[];

/** One message a call. */
export const oneMessage: Protocol = (call, values) => [{ call, values }];

/** A client whose calls wait in line, on one connection. */
function networkedStore({ host, port }: ServerAddress, protocol: Protocol): LeaseStore {
  const socket = connect({ host, port });
  socket.on("error", () => undefined);
  const replies: ((reply: object) => void)[] = [];
  onMessage(socket, (reply) => replies.shift()?.(reply as object));
  socket.on("close", () => {
    for (const reply of replies.splice(0)) reply({ failure: "the connection is closed" });
  });
  const ask = (request: Request): Promise<object> => {
    send(socket, request);
    return new Promise((resolve) => replies.push(resolve));
  };
  const run = async (call: string, values: unknown[]): Promise<unknown> => {
    let last: { answer?: unknown; failure?: string } = {};
    for (const request of protocol(call, values)) {
      const reply: typeof last = await ask(request);
      if ("call" in request) last = reply;
      if (reply.failure !== undefined) throw new StoreError("STORE_FAILED", reply.failure);
    }
    return last.answer;
  };
  return new Proxy({} as LeaseStore, {
    has: () => true,
    get(_, name) {
      if (name === "then") return undefined;
      if (name === "close" || name === Symbol.asyncDispose) {
        return async () => void socket.destroy();
      }
      return (...parameters: unknown[]) => {
        const [options] = parameters.splice(-1) as [{ signal?: AbortSignal } | undefined];
        const isOptions = options !== undefined && "signal" in options;
        const { signal, ...others } = isOptions ? options : {};
        const values = isOptions ? [...parameters, others] : [...parameters, options];
        return abortable(run(String(name), values), signal);
      };
    },
  });
}

export async function abortable<T>(call: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason as Error);
  });
  signal?.addEventListener("abort", abort);
  return Promise.race([call, aborted]).finally(() => signal?.removeEventListener("abort", abort));
}

/** A server of its own, whose clients speak by the protocol. */
export async function networkedHarness(
  protocol: Protocol = oneMessage,
): Promise<FrozenClientHarness> {
  const server = new NetworkedServer();
  const address = await server.start();
  const stores: LeaseStore[] = [];
  const openAt = async ([at]: readonly ServerAddress[]): Promise<LeaseStore> => {
    const store = networkedStore(at!, protocol);
    stores.push(store);
    return store;
  };
  return {
    servers: [address],
    open: () => openAt([address]),
    openAt,
    leaseMs: 500,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
      await server.close();
    },
  };
}
