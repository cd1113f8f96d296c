import { describeError } from "../errors.ts";
import { classify, type KinesisFailure } from "./classify.ts";

interface FailedReply {
  readonly name: string;
  /** The error on one line, its causes included. */
  readonly text: string;
  /** 0 = there was no reply. */
  readonly status: number;
  readonly failure: KinesisFailure;
  readonly operation: string;
}

/** The first row that fits is the advice. */
const ADVICE: readonly (readonly [
  fits: (failed: FailedReply) => boolean,
  advice: string | ((failed: FailedReply) => string),
])[] = [
  [
    ({ name }) => /signature|UnrecognizedClient|InvalidClientTokenId|AuthFailure/i.test(name),
    "The access key or its secret is wrong, or of another partition: check the credentials",
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
    "If the certificate is right, name its issuer by NODE_EXTRA_CA_CERTS",
  ],
  [
    ({ text }) => /WRONG_VERSION_NUMBER|wrong version number|packet length too long/i.test(text),
    "The endpoint does not speak TLS: is it meant to be http://?",
  ],
  [
    ({ failure }) => failure === "not-http2",
    "What answers does not speak HTTP/2: pass a client with the KinesisHttpHandler",
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
    "The endpoint did not answer as Kinesis does: a proxy or another server is in between",
  ],
];

/** What the reader of the error can do about it; empty where the error itself says it. */
export function adviceOn(error: unknown, operation: string): string {
  const { name } = (error ?? {}) as { readonly name?: unknown };
  const failed: FailedReply = {
    name: String(name),
    text: describeError(error),
    status: httpStatusOf(error) ?? 0,
    failure: classify(error),
    operation,
  };
  const advice = ADVICE.find(([fits]) => fits(failed))?.[1] ?? "";
  return typeof advice === "string" ? advice : advice(failed);
}

/** HTTP status of an error reply of the service, or of a proxy in its place. */
export function httpStatusOf(error: unknown): number | undefined {
  const { $metadata } = (error ?? {}) as { readonly $metadata?: { httpStatusCode?: unknown } };
  const status = $metadata?.httpStatusCode;
  return typeof status === "number" ? status : undefined;
}
