import { closeSync, openSync, readSync } from "node:fs";

/** One call of the handler. */
export interface Handled {
  readonly run: number;
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
}

/** Follows the file that the consumer's handler writes. */
export class Journal {
  readonly path: string;
  readonly handled: Handled[] = [];
  /** The sequence numbers among them, each once. */
  readonly distinct = new Set<string>();
  /** The last sequence number handled, of each shard. */
  readonly positions = new Map<string, string>();
  readonly #file: number;
  #offset = 0;
  #rest = "";

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "a+");
  }

  /** Reads what was added, as work of the given run. */
  follow(run: number): void {
    const chunk = Buffer.alloc(1 << 20);
    for (;;) {
      const bytes = readSync(this.#file, chunk, 0, chunk.length, this.#offset);
      if (bytes === 0) return;
      this.#offset += bytes;
      const lines = (this.#rest + chunk.toString("latin1", 0, bytes)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) {
        const [shardId = "", sequenceNumber = "", partitionKey = ""] = line.split(" ");
        this.handled.push({ run, shardId, sequenceNumber, partitionKey });
        this.distinct.add(sequenceNumber);
        this.positions.set(shardId, sequenceNumber);
      }
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
