/** A reply to be sent. */
export interface Reply {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string | Uint8Array;
  /** The name of the error, if the reply is one. */
  readonly error?: string;
}

export function jsonReply(status: number, value: object): Reply {
  return { status, contentType: "application/json", body: `${JSON.stringify(value)}\n` };
}
