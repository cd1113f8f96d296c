import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand, type KinesisClient } from "@aws-sdk/client-kinesis";
import { flightEvents, type FlightEvent } from "./flights.ts";

/** The maximum number of records in one PutRecords. */
const LARGEST_BATCH = 500;
const encoder = new TextEncoder();

/** Puts about `perSecond` flight events a second on a stream, and remembers the accepted ones. */
export class Feed {
  /** The sequence numbers that the service returned. */
  readonly accepted = new Set<string>();
  readonly total: number;
  /** Settles when all events are put, or the feed was stopped or failed. */
  readonly done: Promise<void>;
  #failure: { readonly error: unknown } | undefined;
  readonly #client: KinesisClient;
  readonly #stream: string;
  readonly #perSecond: number;
  #allowed = 0;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(client: KinesisClient, stream: string, total: number, perSecond: number) {
    this.#client = client;
    this.#stream = stream;
    this.#perSecond = perSecond;
    this.total = total;
    this.done = this.#run().catch((error: unknown) => void (this.#failure = { error }));
  }

  /**
   * Lets the feed put this many records in total and then wait, so that work is left for the next
   * step.
   */
  allow(records: number): void {
    this.#allowed = records;
    this.#wake();
  }

  throwIfFailed(): void {
    if (this.#failure)
      throw new Error("the records could not be put", { cause: this.#failure.error });
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    const events = flightEvents().slice(0, this.total);
    // Small steps, so that it stops near the allowed number.
    const size = Math.min(LARGEST_BATCH, Math.floor(this.total / 40));
    for (let taken = 0; taken < events.length && !this.#stopped; taken += size) {
      while (taken >= this.#allowed && !this.#stopped) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      const began = performance.now();
      const batch = events.slice(taken, taken + size);
      await this.#put(batch);
      const dueMs = (batch.length / this.#perSecond) * 1000;
      await sleep(Math.max(0, dueMs - (performance.now() - began)));
    }
  }

  /** PutRecords may accept some records and throttle others; the throttled ones are put again. */
  async #put(events: readonly FlightEvent[]): Promise<void> {
    let left = events;
    for (let tries = 0; left.length > 0; tries += 1) {
      if (tries > 0) await sleep(Math.random() * Math.min(2000, 100 * 2 ** tries));
      const { Records = [] } = await this.#client.send(
        new PutRecordsCommand({
          StreamName: this.#stream,
          Records: left.map((event) => ({
            PartitionKey: event.airport,
            Data: encoder.encode(JSON.stringify(event)),
          })),
        }),
      );
      for (const { SequenceNumber } of Records) {
        if (SequenceNumber) this.accepted.add(SequenceNumber);
      }
      left = left.filter((_, i) => Records[i]?.ErrorCode);
    }
  }
}
