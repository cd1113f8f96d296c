const MIB = 1024 * 1024;

/** A page that is expected to be no larger reserves no memory before its reply begins. */
const SMALL_PAGE_BYTES = 64 * 1024;
/** No page is expected to be larger. */
const LARGEST_PAGE_BYTES = 10 * MIB;
/** The next page is expected to be so many times as large as the last one. */
const GROWTH = 1.25;
/** After a page that was too large, so many times fewer records are requested. */
const STEP_DOWN = 10;
const STEP_UP = 2;
/** The weight of one shard's first page in the estimate for the others'. */
const WEIGHT = 1 / 4;

/** Pages that are dropped one after another are requested at ever longer intervals. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;

/** What the first pages of other shards suggest for a shard that has had none. */
export class FirstPages {
  bytes = 0;
  recordBytes = 0;

  /** @param records undefined = the page was dropped, and the number is not known */
  learn(bytes: number, records: number | undefined): void {
    this.bytes += (bytes - this.bytes) * WEIGHT;
    if (records !== undefined && records > 0) this.recordBytes = bytes / records;
  }
}

/** Estimates the next page of one shard, and how many records to request. */
export class PageSize {
  readonly #maxRecords: number;
  readonly #firstPages: FirstPages;
  #limit: number;
  /** Undefined = there was no page yet. */
  #expected: number | undefined;
  #recordBytes: number | undefined;
  #givenUp = 0;

  constructor(maxRecords: number, firstPages: FirstPages) {
    this.#limit = this.#maxRecords = maxRecords;
    this.#firstPages = firstPages;
  }

  /** The memory to reserve, in bytes; 0 for a page that is expected to be small. */
  get reserveBytes(): number {
    const expected = this.#expected ?? this.#firstPages.bytes;
    return expected <= SMALL_PAGE_BYTES && this.#givenUp === 0 ? 0 : Math.ceil(expected);
  }

  /** The size of a page of a single record, by the last pages; 0 = not known. */
  get leastBytes(): number {
    return Math.min(this.reserveBytes, Math.ceil(this.#knownRecordBytes));
  }

  get #knownRecordBytes(): number {
    return this.#recordBytes ?? this.#firstPages.recordBytes;
  }

  /** How many records to request with `granted` bytes of memory, where `wanted` bytes were asked for. */
  limitFor(granted: number, wanted: number): number {
    if (granted >= wanted) return this.#limit;
    const recordBytes = this.#knownRecordBytes;
    const fitting =
      recordBytes > 0 ? granted / recordBytes : this.#limit * (granted / Math.max(1, wanted));
    return Math.max(1, Math.min(this.#limit, Math.floor(fitting)));
  }

  /** How long to wait before there is likely to be room, in milliseconds. */
  get pauseMs(): number {
    return this.#givenUp < 2
      ? 0
      : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#givenUp, 30));
  }

  /** A page came. */
  came(bytes: number, records: number): void {
    if (this.#expected === undefined) this.#firstPages.learn(bytes, records);
    const expected = Math.max(GROWTH * bytes, (this.#expected ?? 0) / 2);
    this.#expected = Math.min(LARGEST_PAGE_BYTES, expected);
    if (records > 0) this.#recordBytes = bytes / records;
    this.#limit = Math.min(this.#maxRecords, this.#limit * STEP_UP);
    this.#givenUp = 0;
  }

  /** There was no room for a page of `asked` records: the next request waits for room, or is smaller. */
  gaveUp(bytes: number, asked: number): void {
    if (this.#expected === undefined) this.#firstPages.learn(bytes, undefined);
    this.#expected = bytes;
    // It had as many records as requested, or fewer and larger ones.
    this.#recordBytes = Math.max(this.#knownRecordBytes, bytes / asked);
    this.#givenUp += 1;
    if (this.#givenUp > 1) this.tookTooLong(asked);
  }

  /** A page of `asked` records did not come in time. */
  tookTooLong(asked: number): void {
    this.#limit = Math.max(1, Math.floor(asked / STEP_DOWN));
  }
}
