import { Connection, FakeKinesis } from "./fake-kinesis.ts";
import { listen } from "./http/dual-server.ts";
import { createHandler } from "./http/handler.ts";
import { isFromThisMachine, isLoopback } from "./http/request-origin.ts";
import { Link, type LinkOptions } from "./link.ts";
import type { ModelOptions } from "./model/model.ts";
import { checkNames } from "./option-names.ts";
import { Service } from "./service.ts";

/** `latency`, `bandwidth` and faults are those of the server: all of its clients share them. */
export interface EmulatorOptions extends ModelOptions, LinkOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** The address to listen on. Default `127.0.0.1`: this machine alone can connect. */
  readonly host?: string;
}

/** A running emulator. */
export interface Emulator extends AsyncDisposable {
  /** Give it to the SDK's client as `endpoint`; any credentials will do. */
  readonly url: string;
  readonly port: number;
  /** The same streams without HTTP in between; plans the faults and logs the calls of both. */
  readonly kinesis: FakeKinesis;
  /** Breaks open connections and stops listening. May be called again. */
  close(): Promise<void>;
}

/**
 * Starts Kinesis as an HTTP server for the unmodified SDK: HTTP/1.1 and h2c on one port. Rejects
 * with Node's error (`code: 'EADDRINUSE'`, …) if it cannot listen, RangeError for bad options.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  checkNames("startEmulator", options);
  const { port = 0, host = "127.0.0.1" } = options;
  const service = new Service(options);
  const link = new Link(service.clock, options);
  const mayAnswer = isLoopback(host) ? isFromThisMachine : () => true;
  const server = await listen(createHandler(service, link, mayAnswer), port, host);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= server.close());
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    kinesis: new FakeKinesis(new Connection(service, link)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
