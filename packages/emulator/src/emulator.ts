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
  /** The `endpoint` for an SDK client; any credentials are accepted. */
  readonly url: string;
  readonly port: number;
  /** The current streams, by name, with the number of their open shards. */
  readonly streams: Readonly<Record<string, number>>;
  /** A client of the same streams without HTTP. Its faults and its call log also apply to the HTTP server. */
  readonly kinesis: FakeKinesis;
  /**
   * Closes open connections, stops listening and writes the snapshot. Idempotent. Rejects with Node's error if the
   * snapshot cannot be written.
   */
  close(): Promise<void>;
}

/**
 * Starts Kinesis as an HTTP server for the unmodified SDK: HTTP/1.1 and h2c on one port.
 * @throws Node's error (`code: 'EADDRINUSE'`, …) if it cannot listen, or cannot write a snapshot
 * @throws RangeError for a wrong option
 * @throws Error if the snapshot cannot be read
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

/** The URL to connect to. For "all addresses" it has a loopback address, because some clients need a specific one. */
function urlOf(host: string, port: number): string {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}
