export type { Input, OperationName, OperationTypes, Output } from "./api/operation-types.ts";
export type { Call } from "./call-log.ts";
export type { Clock } from "./clock.ts";
export type { ServiceErrorName } from "./errors.ts";
export { FakeClock, UnsettledError } from "./fake-clock.ts";
export { FakeKinesis, type FakeKinesisOptions } from "./fake-kinesis.ts";
export type { Faults, FaultTarget } from "./faults.ts";
export type { ModelOptions } from "./model/model.ts";
export type { Quotas } from "./model/quotas.ts";
