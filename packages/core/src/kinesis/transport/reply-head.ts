/** The status line and the headers of an HTTP/1.1 reply. */
export interface ReplyHead {
  readonly statusCode: number;
  readonly reason: string;
  /** By lower-case name. Values of headers with the same name are joined with commas. */
  readonly headers: Record<string, string>;
  /** Whether the connection may carry another request. */
  readonly keepsAlive: boolean;
  /** The length of the head in bytes, including the empty line. */
  readonly length: number;
}

/** The other end does not speak HTTP/1.1: the connection cannot be used any more. */
export class BadReplyError extends Error {
  readonly code = "HPE_KC_BAD_REPLY";

  constructor(what: string) {
    super(`the endpoint's reply is not HTTP/1.1: ${what}`);
    this.name = "BadReplyError";
  }
}

const VERSION = "HTTP/1.";
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([^\r\n]*))?$/;
/** The name of a header: a token of RFC 9110. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/**
 * Only this whitespace is removed. A parser that finds another length or transfer coding than a proxy did is
 * open to request smuggling.
 */
const AROUND_VALUE = /^[\t ]+|[\t ]+$/g;
const CONTROL = /[\0\r\n]/;

/**
 * Parses the head of a reply. Returns `undefined` if the head is not complete. Pure.
 * @param bytes the part of the reply that has arrived
 * @throws BadReplyError
 */
export function parseReplyHead(bytes: Uint8Array): ReplyHead | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf("\r\n\r\n");
  if (end < 0) {
    checkBeginning(buffer);
    return undefined;
  }
  const [first = "", ...lines] = buffer.toString("latin1", 0, end).split("\r\n");
  const status = STATUS_LINE.exec(first);
  if (status === null) throw noStatusLine();
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const line of lines) addHeader(headers, line);
  return {
    statusCode: Number(status[2]),
    reason: status[3] ?? "",
    headers,
    keepsAlive: keepsAlive(headers["connection"], status[1] === "1"),
    length: end + 4,
  };
}

/** Rejects bytes that cannot become a head, whose end would never arrive. */
function checkBeginning(bytes: Buffer): void {
  if (!VERSION.startsWith(bytes.toString("latin1", 0, VERSION.length))) throw noStatusLine();
  const feed = bytes.indexOf(0x0a);
  if (feed >= 0 && bytes[feed - 1] !== 0x0d)
    throw new BadReplyError("a line of its head has no CR");
}

function noStatusLine(): BadReplyError {
  return new BadReplyError("it does not begin with a status line");
}

function addHeader(headers: Record<string, string>, line: string): void {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1).replace(AROUND_VALUE, "");
  if (!NAME.test(name) || CONTROL.test(value)) {
    throw new BadReplyError("a line of its head is not a header");
  }
  const key = name.toLowerCase();
  const before = headers[key];
  headers[key] = before === undefined ? value : `${before}, ${value}`;
}

function keepsAlive(connection: string | undefined, isHttp11: boolean): boolean {
  const options = (connection ?? "").toLowerCase().split(/\s*,\s*/);
  if (options.includes("close")) return false;
  return isHttp11 || options.includes("keep-alive");
}
