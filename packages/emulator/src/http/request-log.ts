/** One request that the server has answered, or that its client has given up. */
export interface RequestLogEntry {
  /** When it came: the service's time, in milliseconds since the epoch. */
  readonly at: number;
  /** The operation as the request names it, or its method and path; printable, and bounded. */
  readonly operation: string;
  /** 0 if no reply was sent: the connection was broken or given up. */
  readonly status: number;
  /** The error's name, where the reply is one. */
  readonly error: string | undefined;
  /** From the request's headers to the end of the reply, by the machine's clock. */
  readonly ms: number;
  /** The length of the reply's body. */
  readonly replyBytes: number;
}

/** One line of text for one request. */
export function formatLogEntry(entry: RequestLogEntry): string {
  const { at, operation, status, error, ms, replyBytes } = entry;
  const outcome = status === 0 ? "no reply" : `${status}${error === undefined ? "" : ` ${error}`}`;
  const time = new Date(at).toISOString();
  return `${time} ${operation} ${outcome} ${ms.toFixed(1)} ms ${replyBytes} bytes`;
}
