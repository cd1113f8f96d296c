import type { RequestLogEntry } from "./http/request-log.ts";
import type { LinkOptions } from "./link.ts";
import type { ModelOptions } from "./model/model.ts";

export type FakeKinesisOptions = ModelOptions & LinkOptions;

/** `latency`, `bandwidth` and faults are those of the server: all of its clients share them. */
export interface EmulatorOptions extends ModelOptions, LinkOptions {
  /** @default 0: any free port */
  readonly port?: number;
  /** The address to listen on. @default "127.0.0.1": this machine alone can connect */
  readonly host?: string;
  /**
   * A file that keeps the streams and their records: it is read at the start, if it is there, and
   * written by `close()`. @default none
   */
  readonly snapshot?: string;
  /** Gets each request that is over. It must not throw. @default none */
  readonly onRequest?: (entry: RequestLogEntry) => void;
}
