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

/** What would end a line of the head, or begin another. */
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/;
const UNSAFE_PATH = /[^\x21-\x7e]/;
/** All but a token of RFC 9110: of what methods and headers' names consist. */
const UNSAFE_NAME = /^$|[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** What a header without a name counts as. */
const UNNAMED = ":";

/** Can the body be sent as it is: text, bytes, or none? */
export function hasPlainBody({ body }: HttpRequest): boolean {
  return (
    body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array
  );
}

/**
 * A request as HTTP/1.1 has it, in one piece: head and body leave in one packet.
 * @param target the path and query, or the whole URL for a proxy
 * @throws TypeError for what would make another request of it
 */
export function requestMessage(request: HttpRequest, target: string): Buffer {
  const { method, headers } = request;
  const body = bodyOf(request);
  let head = `${checked(method, UNSAFE_NAME, "method")} ${checked(target, UNSAFE_PATH, "path")} HTTP/1.1\r\n`;
  let hasLength = false;
  // Checked together: a request has a dozen of them.
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

/** The path and the query, as they are sent. */
export function pathOf({ path, query }: HttpRequest): string {
  const parts: string[] = [];
  for (const [name, values] of Object.entries(query ?? {})) {
    for (const value of values === null ? [null] : [values].flat()) {
      parts.push(value === null ? encoded(name) : `${encoded(name)}=${encoded(value)}`);
    }
  }
  return parts.length === 0 ? path : `${path}?${parts.join("&")}`;
}

/** As signatures have it: all but letters, digits and `-._~`. */
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
  if (unsafe.test(text)) throw new TypeError(`the request's ${what} has a character that ends it`);
  return text;
}
