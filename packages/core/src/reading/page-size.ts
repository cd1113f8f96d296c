const MIB = 1024 * 1024;

/** Up to this expected size, a page reserves no memory before its reply begins. */
const SMALL_PAGE_BYTES = 64 * 1024;
/** The maximum expected size. */
const MAX_PAGE_BYTES = 10 * MIB;
/** The next page is expected to be this many times as large as the last one. */
const GROWTH = 1.25;
/** The limit of records is divided by this after a page that was too large or too slow … */
const STEP_DOWN = 10;
/** … and multiplied by this after a page that arrived. */
const STEP_UP = 2;
/** The weight of one shard's first page in the estimate for other shards. */
const WEIGHT = 1 / 4;

/** Backoff if several pages in a row were dropped. */
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 5000;

/** Estimates the first page of a shard by the first pages of other shards. */
export class FirstPages {
  bytes = 0;
  recordBytes = 0;

  /** @param records `undefined` if the page was dropped, so that the number is unknown */
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
  /** `undefined` before the first page. */
  #expected: number | undefined;
  #recordBytes: number | undefined;
  /** The number of pages that were dropped in a row. */
  #drops = 0;

  constructor(maxRecords: number, firstPages: FirstPages) {
    this.#limit = this.#maxRecords = maxRecords;
    this.#firstPages = firstPages;
  }

  /** The memory to reserve, in bytes; 0 if the page is expected to be small. */
  get reserveBytes(): number {
    const expected = this.#expected ?? this.#firstPages.bytes;
    return expected <= SMALL_PAGE_BYTES && this.#drops === 0 ? 0 : Math.ceil(expected);
  }

  /** The expected size of a page with a single record; 0 = unknown. */
  get singleRecordBytes(): number {
    return Math.min(this.reserveBytes, Math.ceil(this.#knownRecordBytes));
  }

  get #knownRecordBytes(): number {
    return this.#recordBytes ?? this.#firstPages.recordBytes;
  }

  /** Returns how many records to request if `granted` of `wanted` bytes of memory were reserved. */
  limitFor(granted: number, wanted: number): number {
    if (granted >= wanted) return this.#limit;
    const recordBytes = this.#knownRecordBytes;
    const fitting =
      recordBytes > 0 ? granted / recordBytes : this.#limit * (granted / Math.max(1, wanted));
    return Math.max(1, Math.min(this.#limit, Math.floor(fitting)));
  }

  /** How long to wait before the next request, in milliseconds. */
  get pauseMs(): number {
    return this.#drops < 2
      ? 0
      : Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(this.#drops, 30));
  }

  /** Called when a page arrived. */
  arrived(bytes: number, records: number): void {
    if (this.#expected === undefined) this.#firstPages.learn(bytes, records);
    const expected = Math.max(GROWTH * bytes, (this.#expected ?? 0) / 2);
    this.#expected = Math.min(MAX_PAGE_BYTES, expected);
    if (records > 0) this.#recordBytes = bytes / records;
    this.#limit = Math.min(this.#maxRecords, this.#limit * STEP_UP);
    this.#drops = 0;
  }

  /** Called when there was no room for the page. The next request reserves its size, or requests fewer records. */
  dropped(bytes: number, limit: number): void {
    if (this.#expected === undefined) this.#firstPages.learn(bytes, undefined);
    this.#expected = bytes;
    // The page had `limit` records, or fewer and larger ones.
    this.#recordBytes = Math.max(this.#knownRecordBytes, bytes / limit);
    this.#drops += 1;
    if (this.#drops > 1) this.#requestFewer(limit);
  }

  /** Called when a request for `limit` records timed out. */
  timedOut(limit: number): void {
    this.#requestFewer(limit);
  }

  #requestFewer(limit: number): void {
    this.#limit = Math.max(1, Math.floor(limit / STEP_DOWN));
  }
}
