export * from "./errors.ts";
export { NonRetriableError, RetryAfterError } from "./handler-errors.ts";
export { stopSignal } from "./stop-signal.ts";
export { systemClock, type Clock } from "./clock.ts";
export {
  checkpointAt,
  compareCheckpoints,
  comparePositions,
  compareSequenceNumbers,
  formatCheckpoint,
  isSequenceNumber,
  SHARD_END,
  shardEndAt,
  type Checkpoint,
  type Position,
} from "./checkpoints/position.ts";
export type * from "./checkpoints/store.ts";
export * from "./checkpoints/lease-store.ts";
export type * from "./checkpoints/transactional-store.ts";
export { MemoryStore } from "./checkpoints/memory-store.ts";
export { MemoryTransaction } from "./checkpoints/memory-transaction.ts";
export {
  MemoryStoreData,
  type MemoryApplication,
  type MemoryShard,
} from "./checkpoints/memory-data.ts";
export type * from "./groups/group.ts";
export type { HashKeyRange } from "./kinesis/hash-key-range.ts";
export type { Shard } from "./kinesis/shard.ts";
export { ConsumerRecord, type RecordFields } from "./record.ts";
export {
  SkipCheckpoint,
  type BatchContext,
  type BatchHandler,
  type Handler,
  type HandlerContext,
  type OwnTransactionContext,
  type TransactionContext,
  type TransactionHandler,
} from "./handler.ts";
export type {
  DeadLetter,
  DeadLetterFailure,
  DeadLetterListOptions,
  DeadLetterPage,
  DeadLetterQueue,
  DeadLetterReason,
  DeadLetterTable,
  ReadableDeadLetterQueue,
  TransactionalDeadLetters,
} from "./delivery/letters/dead-letter.ts";
export type { BatchAnswer, BatchItemFailure } from "./delivery/batches/batch-outcome.ts";
export type {
  Decoder,
  StandardIssue,
  StandardResult,
  StandardSchemaV1,
} from "./delivery/decode.ts";
export { decodeDeadLetter, encodeDeadLetter } from "./delivery/letters/dead-letter-json.ts";
export { MemoryDeadLetterQueue } from "./delivery/letters/memory-dead-letter-queue.ts";
export type { Counter } from "./telemetry/counter.ts";
export { fromPino, type LogFields, type Logger, type PinoLike } from "./telemetry/logger.ts";
export {
  METRICS,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricAttributes,
  type MetricDefinition,
  type MetricName,
  type Metrics,
} from "./telemetry/metrics.ts";
export type { ConsumerEvent, PauseReason, ShardOutcomeKind } from "./telemetry/events.ts";
export {
  CHANNELS,
  type CheckpointMessage,
  type HandleBatchMessage,
  type HandleMessage,
  type LeaseMessage,
  type PollMessage,
} from "./telemetry/channels.ts";
export type { Health, HealthThresholds } from "./telemetry/health.ts";
export type { ConsumerStatus, RetryStatus, ScanStage, ShardStatus } from "./telemetry/status.ts";
export type { FailingCall } from "./telemetry/failing-calls.ts";
export type { Telemetry } from "./telemetry/telemetry.ts";
export { AllGroup } from "./groups/all-group.ts";
export { LeaseGroup } from "./groups/leases/lease-group.ts";
export type { LeaseGroupOptions } from "./groups/leases/lease-group-options.ts";
export type { LeaseGroupStatus, LeasedShardStatus } from "./groups/leases/group-status.ts";
export { Consumer } from "./consumer.ts";
export type {
  BatchOptions,
  DeliveryOptions,
  Ordering,
  RetryOptions,
  TransactionOptions,
} from "./options/delivery-options.ts";
export type { ScanOptions } from "./options/scan-options.ts";
export type { ConsumerOptions, LeasingConsumerOptions } from "./options/consumer-options.ts";
export {
  KinesisHttpHandler,
  type KinesisHttpHandlerOptions,
} from "./kinesis/transport/http-handler.ts";
export type { Deaggregate } from "./kinesis/aggregates/shard-aggregates.ts";
export type { WireOption } from "./kinesis/wire/wire.ts";
export type { KinesisClientLike } from "./kinesis/kinesis-client-like.ts";
