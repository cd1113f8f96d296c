import type { CheckpointMessage, HandleMessage, LeaseMessage, PollMessage } from "@kc/core";
import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { openTelemetryAttributes, SYSTEM } from "./names.ts";

interface Source {
  readonly stream: string;
  readonly application: string;
}

/** What all of a consumer's spans have. */
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

/** Neither data nor partition key: a trace is read by more people than a stream is. */
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

export function fail(span: Span, error: unknown): void {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const code = (thrown as { readonly code?: unknown }).code;
  span.recordException(thrown);
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
  span.setAttribute("error.type", typeof code === "string" ? code : thrown.name);
}
