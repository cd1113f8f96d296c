import { describeError } from "@kc/core";
import { codeOfError, typeOfError, withoutMessage } from "@kc/core/adapter";
import type {
  CheckpointMessage,
  HandleBatchMessage,
  HandleMessage,
  LeaseMessage,
  PollMessage,
} from "@kc/core";
import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { openTelemetryAttributes, SYSTEM } from "./names.ts";

interface Source {
  readonly stream: string;
  readonly application: string;
}

/** The attributes of all spans of a consumer. */
function sourceAttributes({ stream, application }: Source): Attributes {
  return { ...SYSTEM, ...openTelemetryAttributes({ stream, application }) };
}

export function pollAttributes(message: PollMessage): Attributes {
  return {
    ...sourceAttributes(message),
    ...openTelemetryAttributes({ shardId: message.shardId }),
    "messaging.operation.name": "GetRecords",
    "messaging.operation.type": "receive",
    "messaging.batch.message_count": message.records,
    "kinesis.consumer.lag": message.millisBehindLatest && message.millisBehindLatest / 1000,
  };
}

/** Contains neither data nor partition key: more people can read a trace than a stream. */
export function handleAttributes({ record, shardId, ...source }: HandleMessage): Attributes {
  return {
    ...sourceAttributes(source),
    ...openTelemetryAttributes({ shardId }),
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.message.id": record.sequenceNumber,
    "messaging.message.body.size": record.data.byteLength,
  };
}

export function batchAttributes({ records, shardId, ...source }: HandleBatchMessage): Attributes {
  return {
    ...sourceAttributes(source),
    ...openTelemetryAttributes({ shardId }),
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.batch.message_count": records.length,
  };
}

export function checkpointAttributes(message: CheckpointMessage): Attributes {
  return {
    ...sourceAttributes(message),
    "messaging.operation.name": "setCheckpoints",
    "messaging.operation.type": "settle",
    "kinesis.consumer.shards": message.checkpoints.map(({ shardId }) => shardId),
  };
}

export function leaseAttributes(message: LeaseMessage): Attributes {
  const { shardId, reason, owner, epoch } = message;
  return {
    ...sourceAttributes(message),
    ...openTelemetryAttributes({ shardId, reason, owner }),
    "kinesis.consumer.epoch": epoch,
  };
}

/** Records a handler's error without its message, which may quote the record. */
export function failHandling(span: Span, error: unknown): void {
  const { stack = "" } = withoutMessage(error);
  fail(span, error, typeOfError(error), stack);
}

/** Records a call's error with its message: calls carry no data of records. */
export function failCall(span: Span, error: unknown): void {
  fail(span, error, describeError(error), withoutMessage(error).stack ?? "");
}

function fail(span: Span, error: unknown, message: string, stack: string): void {
  const type = codeOfError(error) ?? withoutMessage(error).name;
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute("error.type", type);
  span.recordException({ name: type, message, stack });
}
