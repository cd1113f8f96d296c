import type { KinesisClient, ServiceOutputTypes } from "@aws-sdk/client-kinesis";
import { KinesisServiceException } from "@aws-sdk/client-kinesis";
import type { OperationName } from "./api/operation-types.ts";
import { sdkValues } from "./api/read-input.ts";
import type { Call } from "./call-log.ts";
import { serviceError } from "./errors.ts";
import type { Faults } from "./faults.ts";
import { Link, type LinkOptions } from "./link.ts";
import { checkNames } from "./option-names.ts";
import type { FakeKinesisOptions } from "./options.ts";
import { isOperationName, whyNotServed } from "./operations/operations.ts";
import { InjectedFault, Service } from "./service.ts";

/** An existing service and a link to it, for another client. */
export class Connection {
  readonly service: Service;
  readonly link: Link;

  constructor(service: Service, link: Link) {
    this.service = service;
    this.link = link;
  }
}

/**
 * An in-memory Kinesis that replaces the SDK's `KinesisClient`: pass it wherever a client is expected. It accepts the
 * SDK's commands, returns their outputs and throws the SDK's errors. It does not retry: `$metadata.attempts` is always
 * 1.
 *
 * A call takes one `yield()` of the clock, and the time set by `latency` and `bandwidth`. If the signal of
 * `send(command, { abortSignal })` aborts, the call rejects with an error named AbortError.
 */
export class FakeKinesis implements Pick<KinesisClient, "send" | "destroy"> {
  readonly #service: Service;
  readonly #link: Link;
  #destroyed = false;

  /** @throws RangeError for a wrong option */
  constructor(options: FakeKinesisOptions | Connection = {}) {
    if (options instanceof Connection) {
      this.#service = options.service;
      this.#link = options.link;
    } else {
      checkNames("FakeKinesis", options);
      this.#service = new Service(options);
      this.#link = new Link(this.#service.clock, options);
    }
  }

  /** Creates another client of the same streams, with its own link and faults. The call log is shared. */
  connect(options: LinkOptions = {}): FakeKinesis {
    return new FakeKinesis(new Connection(this.#service, new Link(this.#service.clock, options)));
  }

  /** Injects faults into this client's calls. */
  get faults(): Faults {
    return this.#link.faults;
  }

  /** The latest calls, oldest first. At least 1,000 calls are kept, or calls with 10,000 records in all. */
  get calls(): readonly Call[] {
    return this.#service.calls.entries;
  }

  /** Number of calls of an operation since the start or `resetCalls()`. */
  countOf(operation: OperationName): number {
    return this.#service.calls.countOf(operation);
  }

  resetCalls(): void {
    this.#service.calls.clear();
  }

  /** Whether `destroy` was called. Calls still work, as with the SDK's client. */
  get destroyed(): boolean {
    return this.#destroyed;
  }

  destroy(): void {
    this.#destroyed = true;
  }

  readonly send: KinesisClient["send"] = ((
    command: SdkCommand,
    options?: SendOptions | Callback,
    callback?: Callback,
  ) => {
    const done = typeof options === "function" ? options : callback;
    const signal = typeof options === "function" ? undefined : options?.abortSignal;
    const reply = this.#send(command, signal);
    if (done === undefined) return reply;
    return void reply.then((output) => done(null, output), done);
  }) as KinesisClient["send"];

  async #send(command: SdkCommand, signal?: AbortSignal): Promise<ServiceOutputTypes> {
    const operation = command.constructor.name.replace(/Command$/, "");
    if (!isOperationName(operation)) {
      throw new TypeError(`FakeKinesis: ${whyNotServed(operation)}`);
    }
    const requestId = this.#service.nextRequestId();
    try {
      if (signal?.aborted) throw abortError();
      await this.#service.clock.yield();
      if (signal?.aborted) throw abortError();
      const caller = { link: this.#link, values: sdkValues, signal };
      const output = await this.#service.handle(operation, command.input, caller);
      await this.#link.transfer(sizeOf(output), signal);
      const $metadata = { httpStatusCode: 200, requestId, attempts: 1, totalRetryDelay: 0 };
      return { ...withOwnData(output), $metadata };
    } catch (error) {
      throw signal?.aborted ? abortError() : asSdkError(error, requestId);
    }
  }
}

interface SdkCommand {
  readonly input: object;
}
interface SendOptions {
  readonly abortSignal?: AbortSignal;
}
type Callback = (error: unknown, output?: ServiceOutputTypes) => void;

/** Copies the records' data: a reader may write into it. */
function withOwnData(output: object): object {
  if (!("Records" in output)) return output;
  const records = output.Records as readonly { readonly Data?: Uint8Array }[];
  const copies = records.map((record) =>
    record.Data === undefined ? record : { ...record, Data: new Uint8Array(record.Data) },
  );
  return { ...output, Records: copies };
}

/** The size of the records' data and partition keys, in bytes. */
function sizeOf(output: object): number {
  if (!("Records" in output)) return 0;
  const records = output.Records as readonly { Data?: Uint8Array; PartitionKey?: string }[];
  return records.reduce(
    (sum, { Data, PartitionKey = "" }) =>
      sum + (Data?.length ?? 0) + Buffer.byteLength(PartitionKey),
    0,
  );
}

function asSdkError(error: unknown, requestId: string): unknown {
  const sdkError = error instanceof InjectedFault ? actOut(error.fault) : error;
  if (sdkError instanceof KinesisServiceException) {
    Object.assign(sdkError.$metadata, { requestId, attempts: 1, totalRetryDelay: 0 });
  }
  return sdkError;
}

function actOut(fault: InjectedFault["fault"]): Error {
  switch (fault.kind) {
    case "dropped connection":
      return Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", syscall: "read" });
    case "html error": {
      const error = serviceError("InternalFailure", `${fault.status} with an HTML body`);
      error.$metadata.httpStatusCode = fault.status;
      return error;
    }
  }
}

function abortError(): Error {
  const error = new Error("Request aborted");
  error.name = "AbortError";
  return error;
}
