import type { RequestLogEntry } from "./http/request-log.ts";
import type { LinkOptions } from "./link.ts";
import type { ModelOptions } from "./model/model.ts";

export type FakeKinesisOptions = ModelOptions & LinkOptions;

/** Options of `startEmulator`. All clients of the server share `latency`, `bandwidth` and faults. */
export interface EmulatorOptions extends ModelOptions, LinkOptions {
  /** The port to listen on; 0 = any free port. @default 0 */
  readonly port?: number;
  /** The address to listen on. @default "127.0.0.1": only this machine can connect */
  readonly host?: string;
  /**
   * File that keeps the streams and their records: read at the start if it exists, written by `close()`. @default
   * none
   */
  readonly snapshot?: string;
  /** Called when a request has ended. Must not throw. @default none */
  readonly onRequest?: (entry: RequestLogEntry) => void;
}
