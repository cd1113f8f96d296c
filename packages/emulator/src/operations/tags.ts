import type { Tag } from "@aws-sdk/client-kinesis";
import type { Empty, Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { findResource } from "./resources.ts";

const MAX_TAGS = 50;
/** Prefix of keys that only the service may set. */
const RESERVED = "aws:";
const ALLOWED = /^[\p{L}\p{N}\p{Z}_.:/=+\-@]*$/u;

export function addTagsToStream(model: Model, input: Input<"AddTagsToStream">): Empty {
  const { name, settings } = model.streams.findActive(input, "UPDATING");
  addTags(model, name, settings.tags, input.Tags!);
  return {};
}

export function removeTagsFromStream(
  { streams }: Model,
  input: Input<"RemoveTagsFromStream">,
): Empty {
  const { tags } = streams.findActive(input, "UPDATING").settings;
  for (const key of input.TagKeys!) tags.delete(key);
  return {};
}

export function listTagsForStream(
  { streams }: Model,
  input: Input<"ListTagsForStream">,
): Output<"ListTagsForStream"> {
  const { tags } = streams.find(input).settings;
  const rest = sorted(tags).filter(({ Key }) => Key! > (input.ExclusiveStartTagKey ?? ""));
  const page = rest.slice(0, input.Limit ?? MAX_TAGS);
  return { Tags: page, HasMoreTags: page.length < rest.length };
}

export function tagResource(model: Model, input: Input<"TagResource">): Empty {
  const { name, settings } = findResource(model, input);
  addTags(model, name, settings.tags, input.Tags!);
  return {};
}

export function untagResource(model: Model, input: Input<"UntagResource">): Empty {
  const { tags } = findResource(model, input).settings;
  for (const key of input.TagKeys!) tags.delete(key);
  return {};
}

export function listTagsForResource(
  model: Model,
  input: Input<"ListTagsForResource">,
): Output<"ListTagsForResource"> {
  return { Tags: sorted(findResource(model, input).settings.tags) };
}

/**
 * Adds all tags or none. @throws InvalidArgumentException for too many tags, a reserved key, or a forbidden
 * character
 */
export function addTags(
  { streams }: Model,
  streamName: string,
  tags: Map<string, string>,
  added: Readonly<Record<string, string>>,
): void {
  const refused = `Failed to add tags to stream ${streamName} under account ${streams.account} because`;
  for (const [key, value] of Object.entries(added)) {
    if (key.startsWith(RESERVED)) {
      const message = `${refused} the tag key ${key} begins with ${RESERVED}, which is reserved.`;
      throw serviceError("InvalidArgumentException", message);
    }
    if (ALLOWED.test(key) && ALLOWED.test(value)) continue;
    const message = `${refused} some tags contain characters that are not allowed: letters, digits, spaces and _ . : / = + - @ are.`;
    throw serviceError("InvalidArgumentException", message);
  }
  const keys = new Set([...tags.keys(), ...Object.keys(added)]);
  if (keys.size > MAX_TAGS) {
    const message = `${refused} a given stream cannot have more than ${MAX_TAGS} tags associated with it.`;
    throw serviceError("InvalidArgumentException", message);
  }
  for (const [key, value] of Object.entries(added)) tags.set(key, value);
}

function sorted(tags: ReadonlyMap<string, string>): Tag[] {
  return [...tags]
    .map(([Key, Value]) => ({ Key, Value }))
    .toSorted((one, other) => (one.Key < other.Key ? -1 : 1));
}
