import { describeError } from "../errors.ts";
import { classify, type KinesisFailure } from "./classify.ts";

interface FailedReply {
  readonly name: string;
  /** The error as one line, including its causes. */
  readonly text: string;
  /** The HTTP status; 0 = no reply. */
  readonly status: number;
  readonly failure: KinesisFailure;
  readonly operation: string;
}

/** The first row that matches gives the advice. */
const ADVICE: readonly (readonly [
  matches: (failed: FailedReply) => boolean,
  advice: string | ((failed: FailedReply) => string),
])[] = [
  [
    ({ name }) => /signature|UnrecognizedClient|InvalidClientTokenId|AuthFailure/i.test(name),
    "The access key or its secret is wrong, or belongs to another partition: check the credentials",
  ],
  [
    ({ failure }) => failure === "denied",
    ({ operation }) =>
      `Grant kinesis:${operation} on the stream (and kms:Decrypt on its key, if it is encrypted) ` +
      `to the credentials in use`,
  ],
  [
    ({ failure }) => failure === "not-found",
    "Check the name, the Region and the account; a stream of another account needs its ARN",
  ],
  [
    ({ name }) => /credentials/i.test(name),
    "Check where the credentials come from: environment, profile, or role",
  ],
  [
    ({ text }) => /self-signed|self signed|CERT|unable to verify|UNABLE_TO_VERIFY/.test(text),
    "If the certificate is valid, set NODE_EXTRA_CA_CERTS to its issuer's certificate",
  ],
  [
    ({ text }) => /WRONG_VERSION_NUMBER|wrong version number|packet length too long/i.test(text),
    "The endpoint does not speak TLS: is it meant to be http://?",
  ],
  [
    ({ failure }) => failure === "not-http2",
    "The endpoint does not speak HTTP/2: pass a client with the KinesisHttpHandler",
  ],
  [
    ({ text }) => text.includes("http2 request did not get a response"),
    "If the endpoint does not speak HTTP/2, pass a client with the KinesisHttpHandler",
  ],
  [
    ({ status }) => status >= 300 && status < 400,
    "The endpoint redirects: check the Region and the endpoint",
  ],
  [
    ({ name }) => name === "SyntaxError",
    "The reply is not one of Kinesis: a proxy or another server may have sent it",
  ],
];

/** Returns what the reader of the error can do about it; empty if the error itself says so. */
export function adviceOn(error: unknown, operation: string): string {
  const { name } = (error ?? {}) as { readonly name?: unknown };
  const failed: FailedReply = {
    name: String(name),
    text: describeError(error),
    status: httpStatusOf(error) ?? 0,
    failure: classify(error),
    operation,
  };
  const advice = ADVICE.find(([matches]) => matches(failed))?.[1] ?? "";
  return typeof advice === "string" ? advice : advice(failed);
}

/** The HTTP status of an error reply, from the service or from a proxy. */
export function httpStatusOf(error: unknown): number | undefined {
  const { $metadata } = (error ?? {}) as { readonly $metadata?: { httpStatusCode?: unknown } };
  const status = $metadata?.httpStatusCode;
  return typeof status === "number" ? status : undefined;
}
