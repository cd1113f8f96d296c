import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Feed } from "./feed.ts";
import { Journal, type Handled } from "./journal.ts";
import { Run } from "./run.ts";
import { count, progressLine, say } from "./screen.ts";
import type { DemoStream } from "./stream.ts";

/** The user pressed Ctrl-C. */
export class Interrupted extends Error {}

export interface LifeOptions {
  readonly endpoint: string;
  readonly stream: DemoStream;
  /** The directory of the checkpoints and the journal. */
  readonly directory: string;
  readonly feed: Feed;
  readonly interrupted: AbortSignal;
}

/** The three runs of the consumer's process, with one file of checkpoints. */
export class Life {
  readonly #options: LifeOptions;
  readonly #journal: Journal;
  #run: Run | undefined;
  #runs = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#journal = new Journal(join(options.directory, "journal"));
  }

  /** Every call of the handler, in all runs. */
  get handled(): readonly Handled[] {
    return this.#journal.handled;
  }

  /** @throws Interrupted */
  async live(): Promise<void> {
    const { feed, stream } = this.#options;
    say(`${count(feed.total)} flight events are being put on "${stream.name}", keyed by airport`);
    this.#start();
    await this.#until(0.2);
    say(`RESHARD  ${await stream.reshard()}`);
    await this.#until(0.45);

    say("STOP     SIGINT to the consumer");
    await this.#stop("SIGINT");
    this.#start();
    await this.#until(0.75);

    say("KILL     kill -9");
    await this.#stop("SIGKILL");
    this.#start();
    await this.#until(1);

    say("STOP     SIGINT to the consumer");
    await this.#stop("SIGINT");
  }

  /** Stops everything that is still running. */
  async end(): Promise<void> {
    await this.#run?.end("SIGINT");
    this.#journal.follow(this.#runs);
    this.#journal.close();
  }

  #start(): void {
    const { endpoint, stream, directory } = this.#options;
    this.#runs += 1;
    this.#run = new Run({
      endpoint,
      stream: stream.name,
      checkpoints: join(directory, "checkpoints.sqlite"),
      journal: this.#journal.path,
    });
    say(`START ${this.#runs}  ${this.#runs === 1 ? "from TRIM_HORIZON" : "after the checkpoints"}`);
  }

  async #stop(signal: "SIGINT" | "SIGKILL"): Promise<void> {
    const how = await this.#run?.end(signal);
    this.#journal.follow(this.#runs);
    say(`         it ended with ${how}, ${count(this.#journal.distinct.size)} records handled`);
    if (signal === "SIGINT" && how !== "exit code 0") throw new Error("that was no clean stop");
  }

  /** Follows the journal until this share of all records was handled. */
  async #until(share: number): Promise<void> {
    const { feed } = this.#options;
    const records = feed.total * share;
    feed.allow(feed.total * Math.min(1, share + 0.1));
    let printedAt = performance.now();
    let printed = this.#journal.distinct.size;
    while (this.#journal.distinct.size < records) {
      feed.throwIfFailed();
      if (this.#options.interrupted.aborted) throw new Interrupted();
      if (this.#run?.ended) throw new Error("the consumer ended by itself");
      await sleep(50);
      this.#journal.follow(this.#runs);
      const seconds = (performance.now() - printedAt) / 1000;
      if (seconds < 1) continue;
      const handled = this.#journal.distinct.size;
      say(
        progressLine({
          put: feed.accepted.size,
          handled,
          perSecond: (handled - printed) / seconds,
          lag: this.#run?.lag ?? new Map(),
          positions: this.#journal.positions,
        }),
      );
      printedAt = performance.now();
      printed = handled;
    }
  }
}
