/** What adapters share, and users of adapters do not need: `@kc/core/adapter`. */
export { CallLimit } from "./call-limit.ts";
export {
  applicationColumns,
  applicationOfColumns,
  type ApplicationColumns,
} from "./checkpoints/application-columns.ts";
export { checkClaim, checkScope, namespaceOf } from "./checkpoints/namespace.ts";
export { RefusalGrace } from "./checkpoints/refusal-grace.ts";
export { deadLetterId, pointerTo } from "./delivery/dead-letter.ts";
export { lastingFailure, passingFailure, type StoreFailure } from "./checkpoints/store-failure.ts";
export {
  advanceOutcome,
  singleResult,
  writeOutcome,
  type ShardLease,
} from "./checkpoints/write-outcome.ts";
export { checkOptionNames } from "./options/option-names.ts";
export {
  checkBoolean,
  checkFunction,
  checkMethods,
  checkOneOf,
  checkWholeNumber,
  type Bounds,
} from "./options/option-values.ts";
export { classifySdkError, withoutResponse, type SdkFailure } from "./sdk-failure.ts";
export { sdkTarget, type SdkTarget } from "./sdk-target.ts";
export { codeOfError, typeOfError, withoutMessage } from "./without-message.ts";
