import { serviceError } from "../errors.ts";

/** Ends a dry run after all checks. @throws DryRunOperationException */
export function endDryRun(input: { readonly DryRun?: boolean | undefined }): void {
  if (input.DryRun !== true) return;
  const message = "The request was rejected because the DryRun parameter was specified.";
  throw serviceError("DryRunOperationException", message);
}
