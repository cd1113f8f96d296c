import type { OperationName, Output } from "./api/operation-types.ts";
import { readInput, type ValueReader } from "./api/read-input.ts";
import { CallLog } from "./call-log.ts";
import type { Clock } from "./clock.ts";
import { serviceError, type ServiceErrorName } from "./errors.ts";
import { type Fault, Faults } from "./faults.ts";
import { createModel, type Model, type ModelOptions } from "./model/model.ts";
import { operations } from "./operations/operations.ts";

/** A planned fault that only a face can act out. */
export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
  readonly fault: Exclude<Fault, { kind: "error" | "delay" }>;

  constructor(fault: InjectedFault["fault"]) {
    super(fault.kind);
    this.fault = fault;
  }
}

/** A request on its way through the emulator, without either face: log, faults, operation. */
export class Service {
  readonly faults: Faults = new Faults();
  readonly calls: CallLog = new CallLog();
  readonly #model: Model;
  #requests = 0;

  constructor(options: ModelOptions) {
    this.#model = createModel(options);
  }

  get clock(): Clock {
    return this.#model.clock;
  }

  /** The service's time in milliseconds since the epoch. */
  now(): number {
    return this.#model.streams.now();
  }

  /** Looks like the service's UUIDs; counts from 1. */
  nextRequestId(): string {
    const count = (++this.#requests).toString(16).padStart(12, "0");
    return `00000000-0000-4000-8000-${count}`;
  }

  /**
   * Carries out one request. Rejects with a KinesisServiceException, an injected error, an
   * `InjectedFault`, or the signal's reason if it aborts during a delay.
   */
  async handle<Name extends OperationName>(
    operation: Name,
    request: unknown,
    values: ValueReader,
    signal?: AbortSignal,
  ): Promise<Output<Name>> {
    const members = asMembers(request);
    this.calls.add(operation, members, this.now());
    for (const fault of this.faults.befalling(operation, members)) {
      if (fault.kind === "error") throw asError(fault.error);
      if (fault.kind !== "delay") throw new InjectedFault(fault);
      await wait(this.clock, fault.ms, signal);
    }
    return operations[operation](this.#model, readInput(operation, request, values));
  }
}

/** A fresh error for each call: the faces write the request's id into it. */
function asError(error: ServiceErrorName | Error): Error {
  return typeof error === "string" ? serviceError(error) : error;
}

function asMembers(request: unknown): Readonly<Record<string, unknown>> {
  return typeof request === "object" && request !== null ? { ...request } : {};
}

function wait(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.setTimer(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
  });
}
