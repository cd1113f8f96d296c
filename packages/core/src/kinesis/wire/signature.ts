import { createHash, createHmac } from "node:crypto";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[^/]+\/[0-9]{8}\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), /;

/** Signs requests to one service in one Region, by AWS's Signature Version 4. Keeps the key of the last request's day. */
export class RequestSigner {
  readonly #region: string;
  readonly #service: string;
  /** In the order of the alphabet. */
  readonly #signedHeaders: readonly string[];
  readonly #listed: string;
  /** What the key was made of. */
  #madeOf = "";
  #key: Buffer = Buffer.alloc(0);

  constructor(region: string, service: string, signedHeaders: readonly string[]) {
    this.#region = region;
    this.#service = service;
    this.#signedHeaders = signedHeaders;
    this.#listed = signedHeaders.join(";");
  }

  /** One that signs the same headers for the same service; undefined = this is another kind of authorization. */
  static like(authorization: string): RequestSigner | undefined {
    const [, region, service, names] = AUTHORIZATION.exec(authorization) ?? [];
    return names === undefined ? undefined : new RequestSigner(region!, service!, names.split(";"));
  }

  /**
   * The `authorization` of a POST without a query.
   * @param path as it is sent
   * @param headers by names in lower case, `x-amz-date` and `x-amz-content-sha256` among them
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
    request += `\n${this.#listed}\n${headers["x-amz-content-sha256"]}`;
    const text = `${ALGORITHM}\n${time}\n${scope}\n${sha256(request)}`;
    const signature = createHmac("sha256", this.#keyOf(secretAccessKey, scope)).update(text);
    return (
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${this.#listed}, ` +
      `Signature=${signature.digest("hex")}`
    );
  }

  #keyOf(secret: string, scope: string): Buffer {
    const madeOf = `${scope}/${secret}`;
    if (madeOf !== this.#madeOf) {
      this.#key = scope
        .split("/")
        .reduce((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`) as Buffer);
      this.#madeOf = madeOf;
    }
    return this.#key;
  }
}

/** In hexadecimal digits. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Each part is escaped again, though it is sent escaped. */
function canonicalPath(path: string): string {
  return path === "/" ? path : path.split("/").map(encodeURIComponent).join("/");
}
