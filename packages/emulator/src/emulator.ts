import { Connection, FakeKinesis } from "./fake-kinesis.ts";
import { listen } from "./http/dual-server.ts";
import { createHandler } from "./http/handler.ts";
import { isFromThisMachine, isLoopback } from "./http/request-origin.ts";
import { Link } from "./link.ts";
import { checkNames } from "./option-names.ts";
import type { EmulatorOptions } from "./options.ts";
import { Service } from "./service.ts";
import { checkSnapshotPlace, loadSnapshot, saveSnapshot } from "./snapshot.ts";

/** A running emulator. */
export interface Emulator extends AsyncDisposable {
  /** Give it to the SDK's client as `endpoint`; any credentials will do. */
  readonly url: string;
  readonly port: number;
  /** The streams that there are now: their names, and the numbers of their open shards. */
  readonly streams: Readonly<Record<string, number>>;
  /** The same streams without HTTP in between; plans the faults and logs the calls of both. */
  readonly kinesis: FakeKinesis;
  /**
   * Breaks open connections, stops listening and writes the snapshot. May be called again. Rejects
   * with Node's error if the snapshot cannot be written.
   */
  close(): Promise<void>;
}

/**
 * Starts Kinesis as an HTTP server for the unmodified SDK: HTTP/1.1 and h2c on one port. Rejects
 * with Node's error (`code: 'EADDRINUSE'`, …) if it cannot listen, RangeError for bad options, Error
 * for a snapshot that cannot be read, Node's error where none can be written.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  checkNames("startEmulator", options);
  const { port = 0, host = "127.0.0.1", snapshot, onRequest } = options;
  if (onRequest !== undefined && typeof onRequest !== "function") {
    throw new RangeError("onRequest: a function");
  }
  const service = new Service(options);
  if (snapshot !== undefined) {
    await loadSnapshot(service.streams, snapshot);
    await checkSnapshotPlace(snapshot);
  }
  const link = new Link(service.clock, options);
  const mayAnswer = isLoopback(host) ? isFromThisMachine : () => true;
  const server = await listen(createHandler(service, link, mayAnswer, onRequest), port, host);
  let closed: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    await server.close();
    if (snapshot !== undefined) await saveSnapshot(service.streams, snapshot);
  };
  const close = (): Promise<void> => (closed ??= end());
  return {
    url: urlOf(host, server.port),
    port: server.port,
    get streams() {
      const all = service.streams.list();
      return Object.fromEntries(all.map(({ name, open }) => [name, open.count]));
    },
    kinesis: new FakeKinesis(new Connection(service, link)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Clients do not connect to "all addresses" everywhere: this machine's own is one of them. */
function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}
