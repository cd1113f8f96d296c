import { messageOfError } from "../describe-error.ts";
import { ConfigError } from "../errors.ts";
import { isPromiseLike } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import { codeOfError } from "../without-message.ts";

/**
 * The part of the Standard Schema interface that is needed here. Schema libraries implement it: see
 * https://standardschema.dev.
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

/** Decodes a record into `record.value`: a function, or a schema that validates the data parsed as JSON. */
export type Decoder<Value> = ((record: ConsumerRecord) => Value) | StandardSchemaV1<Value>;

const ISSUES_SHOWN = 3;

/** The record cannot be decoded. Another attempt would fail in the same way. */
export class UndecodableError extends Error {
  readonly code: string | undefined;

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UndecodableError";
    this.code = codeOfError(cause);
  }
}

/** The decoder itself is invalid, whatever the record is: the scan ends. */
export class DecoderRefusal extends ConfigError {}

/**
 * Returns a function that decodes a record and sets its `value`.
 * @throws (the returned function) UndecodableError; DecoderRefusal, if the decoder is async
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

/** An asynchronous value is not available when the handler is called. */
function refuse(promise: PromiseLike<unknown>): never {
  // The promise is not awaited: its rejection must not end the process.
  promise.then(undefined, () => {});
  throw new DecoderRefusal(
    "decode",
    "must be synchronous, but returned a promise: use a schema without async checks, or decode " +
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
