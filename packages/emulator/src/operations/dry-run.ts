import { serviceError } from "../errors.ts";

/** Ends a request that only asks whether it would succeed, once all of it was checked. */
export function endDryRun(input: { readonly DryRun?: boolean | undefined }): void {
  if (input.DryRun !== true) return;
  const message = "The request was rejected because the DryRun parameter was specified.";
  throw serviceError("DryRunOperationException", message);
}
