import type { Writable } from "node:stream";
import type { Datum } from "./aggregate.ts";
import { cloudWatchName } from "./names.ts";
import type { Layout, OnLost, Sink } from "./sink.ts";

/** The specification's, of one metric in a document. Of metrics it allows a hundred: there are fewer. */
const MOST_VALUES = 100;
/** Of a histogram, in an interval: beyond, so many that are spread like all of them. */
const MOST_SAMPLES = 1000;

/** A metric in a document. */
interface Target {
  readonly datum: Datum;
  readonly value: number | readonly number[];
}

/**
 * Writes the embedded metric format, a line a document: figures with the same dimensions share one.
 * A stream that does not take them in time gets no more until it does.
 */
export class EmfSink implements Sink {
  readonly #output: Writable;
  readonly #maxBufferedBytes: number;
  readonly #layout: Layout;
  readonly #onLost: OnLost;
  #failed = false;
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
      if (!this.#takes()) {
        this.#onLost(document.length);
        continue;
      }
      this.#output.write(`${JSON.stringify(this.#format(document, at))}\n`, (error) => {
        if (error) this.#onLost(document.length);
      });
    }
  }

  close(): void {
    this.#output.off("error", this.#onError);
  }

  #takes(): boolean {
    const { writable, writableLength } = this.#output;
    return writable && !this.#failed && writableLength <= this.#maxBufferedBytes;
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

/** Figures with the same dimensions share a document; a metric stands in it once. */
function documentsOf(data: readonly Datum[]): readonly (readonly Target[])[] {
  const documents = new Map<string, Target[]>();
  for (const datum of data) {
    for (const [part, value] of valuesOf(datum.figure).entries()) {
      const key = JSON.stringify([part, datum.dimensions]);
      const document = documents.get(key);
      if (document === undefined) documents.set(key, [{ datum, value }]);
      else document.push({ datum, value });
    }
  }
  return [...documents.values()];
}

/** A distribution as arrays of values: the format knows no counts. */
function valuesOf(figure: Datum["figure"]): readonly Target["value"][] {
  if (typeof figure === "number") return [figure];
  const { values, counts, count } = figure;
  const share = Math.min(1, MOST_SAMPLES / count);
  const samples = values.flatMap((value, i) =>
    Array<number>(Math.max(1, Math.round(counts[i]! * share))).fill(value),
  );
  const arrays: number[][] = [];
  for (let from = 0; from < samples.length; from += MOST_VALUES) {
    arrays.push(samples.slice(from, from + MOST_VALUES));
  }
  return arrays;
}
