import { messageOfError } from "../describe-error.ts";
import { ConfigError } from "../errors.ts";
import { isPromiseLike } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import { codeOfError } from "../without-message.ts";

/**
 * The interface that libraries of schemas share: see https://standardschema.dev. Only what is needed
 * here of it.
 */
export interface StandardSchemaV1<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly output: Output } | undefined;
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Makes `record.value`. A schema is given the data parsed as JSON. */
export type Decoder<Value> = ((record: ConsumerRecord) => Value) | StandardSchemaV1<Value>;

const ISSUES_SHOWN = 3;

/** The record does not decode. Another attempt would fail alike. */
export class UndecodableError extends Error {
  readonly code: string | undefined;

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UndecodableError";
    this.code = codeOfError(cause);
  }
}

/** The decoder itself is at fault, whatever the record: the scan ends. */
export class DecoderRefusal extends ConfigError {}

/**
 * Decodes a record: its `value` is set.
 * @throws UndecodableError; DecoderRefusal, if the decoder is async
 */
export function decodingOf<Value>(decoder: Decoder<Value>): (record: ConsumerRecord) => void {
  const schema = "~standard" in decoder ? decoder["~standard"] : undefined;
  const decode: (record: ConsumerRecord) => unknown =
    schema === undefined
      ? (decoder as (record: ConsumerRecord) => Value)
      : (record) => schema.validate(record.json());
  return (record) => {
    let answer: unknown;
    try {
      answer = decode(record);
    } catch (error) {
      throw new UndecodableError(messageOfError(error), error);
    }
    if (isPromiseLike(answer)) refuse(answer);
    const value = schema === undefined ? answer : valueIn(answer as StandardResult<Value>);
    // The handler may have frozen the record in an earlier attempt.
    Reflect.set(record, "value", value);
  };
}

function valueIn<Value>(result: StandardResult<Value>): Value {
  if (result.issues === undefined) return result.value;
  throw new UndecodableError(describeIssues(result.issues));
}

/** A value that is not there yet cannot be given to the handler. */
function refuse(promise: PromiseLike<unknown>): never {
  // Nobody waits for it: that it rejects must not end the process.
  promise.then(undefined, () => {});
  throw new DecoderRefusal(
    "decode",
    "must be synchronous, and answered with a promise: take a schema without async checks, or decode " +
      "in the handler",
  );
}

function describeIssues(issues: readonly StandardIssue[]): string {
  const shown = issues.slice(0, ISSUES_SHOWN).map(({ message, path = [] }) => {
    const keys = path.map((step) => String(typeof step === "object" ? step.key : step));
    return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
  });
  const more = issues.length - shown.length;
  return shown.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
