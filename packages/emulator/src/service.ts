import type { OperationName, Output } from "./api/operation-types.ts";
import { readInput, type ValueReader } from "./api/read-input.ts";
import { CallLog } from "./call-log.ts";
import type { Clock } from "./clock.ts";
import { serviceError, type ServiceErrorName } from "./errors.ts";
import type { ReplyFault } from "./faults.ts";
import type { Link } from "./link.ts";
import { createModel, type Model, type ModelOptions } from "./model/model.ts";
import type { Streams } from "./model/streams.ts";
import { operations } from "./operations/operations.ts";
import { never, wait } from "./waiting.ts";

/** A planned fault that `FakeKinesis` or the HTTP server has to simulate. */
export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
  readonly fault: Exclude<ReplyFault, { kind: "error" | "no reply" }>;

  constructor(fault: InjectedFault["fault"]) {
    super(fault.kind);
    this.fault = fault;
  }
}

/** The caller of a request: its link, how its values are encoded, and its abort signal. */
export interface Caller {
  readonly link: Link;
  readonly values: ValueReader;
  readonly signal: AbortSignal | undefined;
}

/** Handles requests of `FakeKinesis` and of the HTTP server: call log, link, faults, operation. */
export class Service {
  readonly calls: CallLog = new CallLog();
  readonly #model: Model;
  #requests = 0;

  constructor(options: ModelOptions) {
    this.#model = createModel(options);
  }

  get clock(): Clock {
    return this.#model.clock;
  }

  get streams(): Streams {
    return this.#model.streams;
  }

  /** The service's time in milliseconds since the epoch. */
  now(): number {
    return this.#model.streams.now();
  }

  /** Has the format of the service's UUIDs, and counts from 1. */
  nextRequestId(): string {
    const count = (++this.#requests).toString(16).padStart(12, "0");
    return `00000000-0000-4000-8000-${count}`;
  }

  /**
   * Carries out one request. Rejects with a KinesisServiceException, an injected error, an `InjectedFault`, or the
   * signal's reason if it aborts while the request or its reply is in transit. The caller then transfers the bytes of
   * the reply.
   */
  async handle<Name extends OperationName>(
    operation: Name,
    request: unknown,
    caller: Caller,
  ): Promise<Output<Name>> {
    const { link, signal } = caller;
    const members = asMembers(request);
    const call = this.calls.add(operation, members, this.now());
    const faults = link.faults.faultsOf(operation, members);
    const oneWay = link.oneWayOf(call);
    await link.travel(oneWay, signal);
    const carryOut = (): Output<Name> => {
      const input = readInput(operation, request, caller.values);
      this.#model.callQuotas.admit(operation, input, this.#model.streams);
      return operations[operation](this.#model, input);
    };
    try {
      for (const fault of faults) {
        if (fault.kind === "delay") await wait(this.clock, fault.ms, signal);
        else return await this.#replaceReply(fault, carryOut, signal);
      }
      return carryOut();
    } finally {
      // An error has the same latency as a reply.
      await link.travel(oneWay, signal);
    }
  }

  #replaceReply(
    fault: ReplyFault,
    carryOut: () => unknown,
    signal: AbortSignal | undefined,
  ): Promise<never> {
    if (fault.takesEffect) {
      try {
        carryOut();
      } catch {
        // The operation failed: that reply is lost too.
      }
    }
    if (fault.kind === "no reply") return never(signal);
    throw fault.kind === "error" ? asError(fault.error) : new InjectedFault(fault);
  }
}

/** Creates a new error for each call, because its request id is set later. */
function asError(error: ServiceErrorName | Error): Error {
  return typeof error === "string" ? serviceError(error) : error;
}

function asMembers(request: unknown): Readonly<Record<string, unknown>> {
  return typeof request === "object" && request !== null ? { ...request } : {};
}
