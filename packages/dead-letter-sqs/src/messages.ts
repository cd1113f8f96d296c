import { createHash } from "node:crypto";
import type { MessageAttributeValue, SendMessageBatchRequestEntry } from "@aws-sdk/client-sqs";
import type { DeadLetter } from "@kc/core";
import { letterText } from "@kc/core/adapter";

/** A letter as a message; its `Id` is given by the request that it goes in. */
export interface Message {
  /** As it is in the message: without data in a pointer. */
  readonly letter: DeadLetter;
  readonly entry: Omit<SendMessageBatchRequestEntry, "Id">;
  /** As the service counts them: the body and the attributes. */
  readonly bytes: number;
}

/** The most characters that the service takes. */
const MAX_GROUP_ID_LENGTH = 128;
/** What XML does not take. */
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

/** For filters and consoles. The body has all of them, as they are. */
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

/** The shard; a name that is too long goes by its hash. */
function groupOf({ streamName, shardId }: DeadLetter): string {
  const name = `${streamName}/${shardId}`;
  if (name.length <= MAX_GROUP_ID_LENGTH) return name;
  return createHash("sha256").update(name).digest("hex");
}
