import type { UserRecord } from "./user-record.ts";

/** Some records were not acknowledged. All others were put. */
export class PutError extends Error {
  override readonly name = "PutError";
  /** The records that were not acknowledged, in order. If they are put again, some may be in the stream twice. */
  readonly records: readonly UserRecord[];

  constructor(message: string, records: readonly UserRecord[], options?: ErrorOptions) {
    super(message, options);
    this.records = records;
  }
}
