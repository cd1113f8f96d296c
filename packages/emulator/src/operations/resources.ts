import type { Empty, Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import type { Stream } from "../model/stream.ts";

/** The stream with this ARN. Other resources are not emulated, and so not found. */
export function findResource(
  { streams }: Model,
  { ResourceARN }: { readonly ResourceARN: string | undefined },
): Stream {
  return streams.findActive({ StreamARN: ResourceARN }, "UPDATING");
}

export function putResourcePolicy(model: Model, input: Input<"PutResourcePolicy">): Empty {
  const { settings } = findResource(model, input);
  if (!isPolicy(input.Policy!)) {
    const message = "Policy is not a JSON object with a list of statements.";
    throw serviceError("InvalidArgumentException", message);
  }
  settings.policy = input.Policy!;
  return {};
}

export function getResourcePolicy(
  model: Model,
  input: Input<"GetResourcePolicy">,
): Output<"GetResourcePolicy"> {
  const { policy } = findResource(model, input).settings;
  if (policy === undefined) throw noPolicy(input.ResourceARN!);
  return { Policy: policy };
}

export function deleteResourcePolicy(model: Model, input: Input<"DeleteResourcePolicy">): Empty {
  const { settings } = findResource(model, input);
  if (settings.policy === undefined) throw noPolicy(input.ResourceARN!);
  settings.policy = undefined;
  return {};
}

function isPolicy(text: string): boolean {
  try {
    const policy: unknown = JSON.parse(text);
    return typeof policy === "object" && policy !== null && "Statement" in policy;
  } catch {
    // Not JSON, so not a policy either.
    return false;
  }
}

function noPolicy(arn: string): Error {
  return serviceError("ResourceNotFoundException", `No policy is attached to ${arn}.`);
}
