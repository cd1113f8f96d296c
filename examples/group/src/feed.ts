import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import type { Emulator } from "@kc/emulator";

const KEYS = 40;
const encoder = new TextEncoder();

/** Puts about 200 records a second until it is stopped, and remembers the accepted ones. */
export class Feed {
  /** The sequence numbers that the service returned. */
  readonly accepted = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  constructor(kinesis: Emulator["kinesis"], stream: string) {
    this.#done = this.#run(kinesis, stream);
  }

  /** Stops; resolves when no put is running. @throws the error that ended the feed earlier */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(kinesis: Emulator["kinesis"], stream: string): Promise<void> {
    const { signal } = this.#stopping;
    for (let order = 0; !signal.aborted;) {
      const Records = Array.from({ length: 10 }, () => {
        order += 1;
        return { PartitionKey: `customer-${order % KEYS}`, Data: encoder.encode(`order ${order}`) };
      });
      const answer = await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
      for (const { SequenceNumber } of answer.Records ?? []) {
        if (SequenceNumber) this.accepted.add(SequenceNumber);
      }
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }
}
