/** `@kc/core/adapter`: code shared by adapters, not needed by their users. */
export { CallLimit } from "./call-limit.ts";
export { aheadColumn, withAhead } from "./checkpoints/ahead-column.ts";
export {
  applicationColumns,
  applicationOfColumns,
  type ApplicationColumns,
} from "./checkpoints/application-columns.ts";
export { LeaseStoreOfParts, type LeaseStoreParts } from "./checkpoints/lease-store-parts.ts";
export { lend } from "./checkpoints/lent-connection.ts";
export { isPromiseLike } from "./handler.ts";
export { checkClaim, checkScope, namespaceOf } from "./checkpoints/namespace.ts";
export { isSequenceNumber } from "./checkpoints/position.ts";
export { RefusalGrace } from "./checkpoints/refusal-grace.ts";
export { misused } from "./checkpoints/transaction-misuse.ts";
export { TransactionTurns, turnsOf } from "./checkpoints/transaction-turns.ts";
export { unlessAborted } from "./deadline.ts";
export { batches } from "./delivery/batches/batches.ts";
export { checkListOptions } from "./delivery/letters/dead-letter-list.ts";
export { deadLetterId, pointerTo } from "./delivery/letters/dead-letter.ts";
export {
  LetterCalls,
  type LetterCallsOptions,
  type LetterFailure,
} from "./delivery/letters/letter-calls.ts";
export {
  letterRowsOf,
  StatementsDeadLetterTable,
  type LetterLimits,
  type LetterRow,
  type LetterStatements,
  type StoredLetter,
} from "./delivery/letters/letter-table.ts";
export {
  TransactionalLetterTable,
  type TransactionalLetterStatements,
} from "./delivery/letters/transactional-letter-table.ts";
export { letterText, requestsOf, type LetterText } from "./delivery/letters/letter-requests.ts";
export { checkpointInside, NO_NUMBER, sharedNumber } from "./checkpoints/shared-number.ts";
export { errorsIn, isPassingInLibrary } from "./checkpoints/library-errors.ts";
export {
  permanentFailure,
  retryableFailure,
  type StoreFailure,
} from "./checkpoints/store-failure.ts";
export {
  advanceOutcome,
  checkNotRegressed,
  hasLess,
  isAtOrBeyond,
  singleResult,
  transactionOutcome,
  writeOutcome,
  type ShardLease,
} from "./checkpoints/write-outcome.ts";
export { deliveryOf } from "./delivery/delivery-of.ts";
export {
  PushedDelivery,
  type PushedDeliveryOptions,
  type PushedRecords,
} from "./delivery/pushed-delivery.ts";
export { ConfigError } from "./errors.ts";
export { joined, relayed } from "./relay.ts";
export { checkOptionNames } from "./options/option-names.ts";
export {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkMethods,
  checkOneOf,
  checkWholeNumber,
  type Bounds,
} from "./options/option-values.ts";
export {
  checkApplicationName,
  checkDeaggregate,
  resolveTools,
  type ResolvedTools,
  type Tools,
} from "./options/resolve-tools.ts";
export { resolveBatches, resolveDelivery } from "./options/resolve-delivery.ts";
export { classifySdkError, withoutResponse, type SdkFailure } from "./sdk-failure.ts";
export { sdkTarget, type SdkTarget } from "./sdk-target.ts";
export { codeOfError, typeOfError, withoutMessage } from "./without-message.ts";
