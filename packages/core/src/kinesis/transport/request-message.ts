/** The parts of the SDK's request that are sent. */
export interface HttpRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Characters that would end a line of the head or begin another one. */
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/;
const UNSAFE_PATH = /[^\x21-\x7e]/;
/** Anything but a token of RFC 9110, which methods and header names must be. */
const UNSAFE_NAME = /^$|[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** Replaces an empty header name in the check, and is itself an invalid name. */
const UNNAMED = ":";

/** Whether the body can be sent as it is: text, bytes, or no body. */
export function hasPlainBody({ body }: HttpRequest): boolean {
  return (
    body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array
  );
}

/**
 * Encodes a request in HTTP/1.1. Head and body are one buffer, so that they are sent in one write.
 * @param target the path and query, or the whole URL for a proxy
 * @throws TypeError if a part contains characters that could inject headers or another request
 */
export function requestMessage(request: HttpRequest, target: string): Buffer {
  const { method, headers } = request;
  const body = bodyOf(request);
  let head = `${checked(method, UNSAFE_NAME, "method")} ${checked(target, UNSAFE_PATH, "path")} HTTP/1.1\r\n`;
  let hasLength = false;
  // Checked together, because a request has a dozen headers.
  let names = "";
  let values = "";
  for (const name in headers) {
    const value = String(headers[name]);
    head += `${name}: ${value}\r\n`;
    names += name === "" ? UNNAMED : name;
    values += value;
    if (name.toLowerCase() !== "content-length") continue;
    hasLength = true;
    if (value !== String(body.byteLength)) {
      throw new TypeError("the request's content-length is not the length of its body");
    }
  }
  if (names !== "") checked(names, UNSAFE_NAME, "header");
  checked(values, UNSAFE, "header");
  if (!hasLength && (body.byteLength > 0 || method === "POST" || method === "PUT")) {
    head += `content-length: ${body.byteLength}\r\n`;
  }
  head += "\r\n";
  const message = Buffer.allocUnsafe(head.length + body.byteLength);
  message.write(head, 0, "latin1");
  message.set(body, head.length);
  return message;
}

/** Returns the path and query, as they are sent. */
export function pathOf({ path, query }: HttpRequest): string {
  const parts: string[] = [];
  for (const [name, values] of Object.entries(query ?? {})) {
    for (const value of values === null ? [null] : [values].flat()) {
      parts.push(value === null ? encoded(name) : `${encoded(name)}=${encoded(value)}`);
    }
  }
  return parts.length === 0 ? path : `${path}?${parts.join("&")}`;
}

/** Percent-encodes as signatures require: everything but letters, digits and `-._~`. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function bodyOf({ body }: HttpRequest): Uint8Array {
  if (typeof body === "string") return Buffer.from(body);
  return body instanceof Uint8Array ? body : new Uint8Array(0);
}

function checked(text: string, unsafe: RegExp, what: string): string {
  if (unsafe.test(text)) throw new TypeError(`the request's ${what} contains an invalid character`);
  return text;
}
