import type { UserRecord } from "./user-record.ts";

/** Some records were not put, as far as is known. The others were. */
export class PutError extends Error {
  override readonly name = "PutError";
  /** Those that were not acknowledged, in their order. Put again, some of them may be in the stream twice. */
  readonly records: readonly UserRecord[];

  constructor(message: string, records: readonly UserRecord[], options?: ErrorOptions) {
    super(message, options);
    this.records = records;
  }
}
