import type { Empty, Input } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";

export function startStreamEncryption(model: Model, input: Input<"StartStreamEncryption">): Empty {
  return encrypt(model, "StartStreamEncryption", input, input.KeyId);
}

export function stopStreamEncryption(model: Model, input: Input<"StopStreamEncryption">): Empty {
  return encrypt(model, "StopStreamEncryption", input, undefined);
}

/** Sets the key for records written from now on. The key itself is not used. */
function encrypt(
  { streams, callQuotas }: Model,
  operation: "StartStreamEncryption" | "StopStreamEncryption",
  input: Input<"StartStreamEncryption">,
  keyId: string | undefined,
): Empty {
  const stream = streams.findActive(input);
  if (input.EncryptionType !== "KMS") {
    const message = `EncryptionType ${input.EncryptionType} is invalid: KMS is the only valid one.`;
    throw serviceError("InvalidArgumentException", message);
  }
  callQuotas.admitToday(operation, stream);
  streams.transition(stream, "UPDATING", () => void (stream.settings.keyId = keyId));
  return {};
}
