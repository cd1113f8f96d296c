import { createHash, createHmac } from "node:crypto";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[^/]+\/[0-9]{8}\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), /;

/** Signs requests to one service in one Region with AWS Signature Version 4. Caches the last signing key. */
export class RequestSigner {
  readonly #region: string;
  readonly #service: string;
  /** In alphabetical order. */
  readonly #signedHeaders: readonly string[];
  readonly #joinedHeaders: string;
  /** The scope and secret of `#key`. */
  #keySource = "";
  #key: Buffer = Buffer.alloc(0);

  constructor(region: string, service: string, signedHeaders: readonly string[]) {
    this.#region = region;
    this.#service = service;
    this.#signedHeaders = signedHeaders;
    this.#joinedHeaders = signedHeaders.join(";");
  }

  /**
   * Creates a signer for the same headers, service and Region as an `authorization` header; `undefined` if that has
   * another scheme.
   */
  static like(authorization: string): RequestSigner | undefined {
    const [, region, service, names] = AUTHORIZATION.exec(authorization) ?? [];
    return names === undefined ? undefined : new RequestSigner(region!, service!, names.split(";"));
  }

  /**
   * Returns the `authorization` header of a POST request without a query.
   * @param path as it is sent
   * @param headers by lower-case name, including `x-amz-date` and `x-amz-content-sha256`
   */
  authorization(
    path: string,
    headers: Readonly<Record<string, string>>,
    { accessKeyId, secretAccessKey }: Credentials,
  ): string {
    const time = headers["x-amz-date"]!;
    const scope = `${time.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`;
    let request = `POST\n${canonicalPath(path)}\n\n`;
    for (const name of this.#signedHeaders) request += `${name}:${headers[name]}\n`;
    request += `\n${this.#joinedHeaders}\n${headers["x-amz-content-sha256"]}`;
    const text = `${ALGORITHM}\n${time}\n${scope}\n${sha256(request)}`;
    const signature = createHmac("sha256", this.#keyOf(secretAccessKey, scope)).update(text);
    return (
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${this.#joinedHeaders}, ` +
      `Signature=${signature.digest("hex")}`
    );
  }

  #keyOf(secret: string, scope: string): Buffer {
    const source = `${scope}/${secret}`;
    if (source !== this.#keySource) {
      this.#key = scope
        .split("/")
        .reduce((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`) as Buffer);
      this.#keySource = source;
    }
    return this.#key;
  }
}

/** Returns the digest in hexadecimal. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** AWS requires that each path segment is escaped twice: it is escaped already. */
function canonicalPath(path: string): string {
  return path === "/" ? path : path.split("/").map(encodeURIComponent).join("/");
}
