import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Datum } from "./aggregate.ts";
import { samplesOf } from "./distribution.ts";
import { cloudWatchName } from "./names.ts";
import type { Layout, OnLost, Sink } from "./sink.ts";

/** The specification's, of one metric in a document. Of metrics it allows a hundred: there are fewer. */
const MAX_VALUES = 100;
/** Of a histogram, in an interval: beyond, each stands for an equal share of all of them. */
const MAX_SAMPLES = 1000;
/** How long a stream that is full may take to drain, in milliseconds. */
const DRAIN_MS = 1000;

/** A metric in a document. */
interface Target {
  readonly datum: Datum;
  readonly value: number | readonly number[];
}

/**
 * Writes the embedded metric format, one line for each document: metrics with the same dimensions share one.
 * A stream that is full is waited for; one that does not drain in time gets no more until it does.
 */
export class EmfSink implements Sink {
  readonly #output: Writable;
  readonly #maxBufferedBytes: number;
  readonly #layout: Layout;
  readonly #onLost: OnLost;
  #failed = false;
  #isStuck = false;
  /** Documents that the stream has not called back for; those that failed stay. */
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
    // Standard output is everybody's: what its failure means is the program's to say.
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

  /** What the last documents fail with must not end the process: until then the stream is listened to. */
  #detachWhenDone(): void {
    if (this.#isClosed && this.#pending === 0) this.#output.off("error", this.#onError);
  }

  #hasRoom(): boolean {
    return this.#isWritable && this.#output.writableLength <= this.#maxBufferedBytes;
  }

  get #isWritable(): boolean {
    return this.#output.writable && !this.#failed;
  }

  /** Waits for a stream that is full, once: after a wait in vain it is stuck until it has drained. */
  async #waitForDrain(): Promise<boolean> {
    if (this.#isStuck || !this.#isWritable) return false;
    this.#isStuck = true;
    this.#output.once("drain", () => (this.#isStuck = false));
    const signal = AbortSignal.timeout(DRAIN_MS);
    // A time-out, or the stream's error: either way it has not drained.
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

/** Metrics with the same dimensions share a document. Each metric is in it once. */
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

/** A distribution as arrays of values: the format knows no counts. */
function valuesOf(value: Datum["value"]): readonly Target["value"][] {
  if (typeof value === "number") return [value];
  const samples = samplesOf(value, MAX_SAMPLES);
  const arrays: number[][] = [];
  for (let from = 0; from < samples.length; from += MAX_VALUES) {
    arrays.push(samples.slice(from, from + MAX_VALUES));
  }
  return arrays;
}
