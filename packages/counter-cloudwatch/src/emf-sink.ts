import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Datum } from "./aggregate.ts";
import { samplesOf } from "./distribution.ts";
import { cloudWatchName } from "./names.ts";
import type { Layout, OnLost, Sink } from "./sink.ts";

/** The specification's limit of values of one metric in a document. Its limit of 100 metrics is never reached. */
const MAX_VALUES = 100;
/** The maximum number of samples of a histogram in an interval. With more values, each sample is the mean of a share. */
const MAX_SAMPLES = 1000;
/** How long a stream that is full may take to drain, in milliseconds. */
const DRAIN_MS = 1000;

/** One metric in a document. */
interface Target {
  readonly datum: Datum;
  readonly value: number | readonly number[];
}

/**
 * Writes documents in the embedded metric format, one per line. Metrics with the same dimensions share a document. If the
 * stream is full, it waits for a drain; after a timeout, it drops documents until the stream has drained.
 */
export class EmfSink implements Sink {
  readonly #output: Writable;
  readonly #maxBufferedBytes: number;
  readonly #layout: Layout;
  readonly #onLost: OnLost;
  #failed = false;
  #isStuck = false;
  /** The number of documents whose write has not succeeded. Failed ones are never subtracted. */
  #pending = 0;
  #isClosed = false;
  readonly #onError = (): void => {
    this.#failed = true;
  };

  constructor(output: Writable, maxBufferedBytes: number, layout: Layout, onLost: OnLost) {
    this.#output = output;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#layout = layout;
    this.#onLost = onLost;
    // Standard output belongs to the program, which handles its errors.
    if (output !== process.stdout) output.on("error", this.#onError);
  }

  async send(data: readonly Datum[], at: Date): Promise<void> {
    for (const document of documentsOf(data)) {
      if (!(this.#hasRoom() || (await this.#waitForDrain()))) {
        this.#onLost(document.length);
        continue;
      }
      this.#pending += 1;
      this.#output.write(`${JSON.stringify(this.#format(document, at))}\n`, (error) => {
        if (error) return this.#onLost(document.length);
        this.#pending -= 1;
        this.#detachWhenDone();
      });
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#detachWhenDone();
  }

  /** Removes the error listener after the last write: until then, an error of the stream would end the process. */
  #detachWhenDone(): void {
    if (this.#isClosed && this.#pending === 0) this.#output.off("error", this.#onError);
  }

  #hasRoom(): boolean {
    return this.#isWritable && this.#output.writableLength <= this.#maxBufferedBytes;
  }

  get #isWritable(): boolean {
    return this.#output.writable && !this.#failed;
  }

  /** Waits for a full stream to drain. After a timeout it does not wait again until the stream has drained. */
  async #waitForDrain(): Promise<boolean> {
    if (this.#isStuck || !this.#isWritable) return false;
    this.#isStuck = true;
    this.#output.once("drain", () => (this.#isStuck = false));
    const signal = AbortSignal.timeout(DRAIN_MS);
    // A timeout or an error of the stream: either way it has not drained.
    await once(this.#output, "drain", { signal }).catch(() => undefined);
    return this.#hasRoom();
  }

  #format(document: readonly Target[], at: Date): object {
    const { namespace, storageResolution } = this.#layout;
    const dimensions = { ...this.#layout.dimensions, ...document[0]!.datum.dimensions };
    const targets = document.map(({ datum, value }) => ({
      ...cloudWatchName(datum.metric),
      value,
    }));
    const directive = {
      Namespace: namespace,
      Dimensions: [Object.keys(dimensions)],
      Metrics: targets.map(({ name, unit }) => ({
        Name: name,
        Unit: unit,
        StorageResolution: storageResolution,
      })),
    };
    return {
      _aws: { Timestamp: at.getTime(), CloudWatchMetrics: [directive] },
      ...dimensions,
      ...Object.fromEntries(targets.map(({ name, value }) => [name, value])),
    };
  }
}

/** Groups metrics with the same dimensions into documents. A metric appears in a document once. */
function documentsOf(data: readonly Datum[]): readonly (readonly Target[])[] {
  const documents = new Map<string, Target[]>();
  for (const datum of data) {
    for (const [part, value] of valuesOf(datum.value).entries()) {
      const key = JSON.stringify([part, datum.dimensions]);
      const document = documents.get(key);
      if (document === undefined) documents.set(key, [{ datum, value }]);
      else document.push({ datum, value });
    }
  }
  return [...documents.values()];
}

/** A distribution as arrays of values: the format has no counts. */
function valuesOf(value: Datum["value"]): readonly Target["value"][] {
  if (typeof value === "number") return [value];
  const samples = samplesOf(value, MAX_SAMPLES);
  const arrays: number[][] = [];
  for (let from = 0; from < samples.length; from += MAX_VALUES) {
    arrays.push(samples.slice(from, from + MAX_VALUES));
  }
  return arrays;
}
