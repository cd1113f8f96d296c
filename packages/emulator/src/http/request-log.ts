/** A request that was answered, or whose connection was closed. */
export interface RequestLogEntry {
  /** When it was received: the service's time, in milliseconds since the epoch. */
  readonly at: number;
  /** The operation, or the method and path, in at most 100 printable characters. */
  readonly operation: string;
  /** The HTTP status; 0 = no reply was sent. */
  readonly status: number;
  /** The name of the error, if the reply is one. */
  readonly error: string | undefined;
  /** Milliseconds from the request's headers to the end of the reply, by the system clock. */
  readonly ms: number;
  /** The length of the reply's body, in bytes. */
  readonly replyBytes: number;
}

/** Formats an entry as one line. */
export function formatLogEntry(entry: RequestLogEntry): string {
  const { at, operation, status, error, ms, replyBytes } = entry;
  const outcome = status === 0 ? "no reply" : `${status}${error === undefined ? "" : ` ${error}`}`;
  const time = new Date(at).toISOString();
  return `${time} ${operation} ${outcome} ${ms.toFixed(1)} ms ${replyBytes} bytes`;
}
