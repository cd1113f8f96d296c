import { createHash } from "node:crypto";
import type { MessageAttributeValue, SendMessageBatchRequestEntry } from "@aws-sdk/client-sqs";
import type { DeadLetter } from "@kc/core";
import { letterText } from "@kc/core/adapter";

/** A letter as a message. Its `Id` is assigned by the request that contains it. */
export interface Message {
  /** The letter in the message. A pointer has no data. */
  readonly letter: DeadLetter;
  readonly entry: Omit<SendMessageBatchRequestEntry, "Id">;
  /** The size as the service counts it: body and attributes. */
  readonly bytes: number;
}

/** The service's limit, in characters. */
const MAX_GROUP_ID_LENGTH = 128;
/** Characters that are not valid in XML. */
const INVALID = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

export function messageOf(letter: DeadLetter, isFifo: boolean, maxBytes: number): Message {
  const attributes = attributesOf(letter);
  const beside = Object.entries(attributes).reduce(
    (bytes, [name, value]) => bytes + attributeBytes(name, value),
    0,
  );
  const { text, bytes, letter: sent } = letterText(letter, maxBytes - beside);
  const entry = { MessageBody: text, MessageAttributes: attributes };
  const order = { MessageGroupId: groupOf(letter), MessageDeduplicationId: letter.id };
  return { letter: sent, entry: isFifo ? { ...entry, ...order } : entry, bytes: bytes + beside };
}

/** Message attributes, for filters and consoles. The body contains the same values unaltered. */
function attributesOf(letter: DeadLetter): Record<string, MessageAttributeValue> {
  const { id, streamName, application, shardId, reason } = letter;
  return Object.fromEntries(
    Object.entries({ id, streamName, application, shardId, reason }).map(([name, value]) => [
      name,
      { DataType: "String", StringValue: value.replaceAll(INVALID, "\ufffd") },
    ]),
  );
}

function attributeBytes(
  name: string,
  { DataType: type, StringValue: value }: MessageAttributeValue,
) {
  return [name, type, value].reduce((bytes, text) => bytes + Buffer.byteLength(text ?? ""), 0);
}

/** The message group: the shard, or a hash of it if the name is too long. */
function groupOf({ streamName, shardId }: DeadLetter): string {
  const name = `${streamName}/${shardId}`;
  if (name.length <= MAX_GROUP_ID_LENGTH) return name;
  return createHash("sha256").update(name).digest("hex");
}
