import type { ConsumerStatus, ShardStatus } from "@kc/core";

/** A worker's answer to a poll. */
export interface WorkerAnswer {
  readonly name: string;
  readonly pid: number | undefined;
  readonly url: string;
  /** `undefined` if it did not answer. */
  readonly status: ConsumerStatus | undefined;
  /** Records that were handled since the process started; `undefined` if it did not answer. */
  readonly records: number | undefined;
}

export interface WorkerRow extends Pick<WorkerAnswer, "name" | "pid" | "url"> {
  readonly state: ConsumerStatus["state"] | "no answer";
  readonly shards: number;
  readonly records: number;
  readonly recordsPerSecond: number;
}

export interface ShardRow {
  readonly shardId: string;
  /** The worker's name. */
  readonly worker: string;
  readonly state: ShardStatus["state"] | "not read";
  readonly recordsInFlight: number;
  /** In milliseconds; `undefined` if no worker reports it. */
  readonly lagMs: number | undefined;
  readonly error: string | undefined;
}

/** One poll of all workers. Times are in milliseconds since the epoch. */
export interface Sample {
  readonly at: number;
  readonly recordsPerSecond: number;
  /** By shard. */
  readonly lagMs: Readonly<Record<string, number>>;
}

export interface Snapshot {
  readonly workers: readonly WorkerRow[];
  readonly shards: readonly ShardRow[];
  readonly samples: readonly Sample[];
  /** The latest first. */
  readonly events: readonly { readonly at: number; readonly text: string }[];
}

/** Five minutes, with one sample a second. */
const MAX_SAMPLES = 300;
const MAX_EVENTS = 20;

/** The data of the page: the workers' answers and their history. */
export class Overview {
  #workers: readonly WorkerRow[] = [];
  #shards: ReadonlyMap<string, ShardRow> = new Map();
  readonly #samples: Sample[] = [];
  readonly #events: { at: number; text: string }[] = [];

  take(at: number, answers: readonly WorkerAnswer[]): void {
    const seconds = (at - (this.#samples.at(-1)?.at ?? at)) / 1000;
    const workers = answers.map((answer) => this.#worker(answer, seconds));
    const shards = this.#shardsOf(answers);
    this.#report(at, workers, shards);
    this.#workers = workers;
    this.#shards = shards;
    const lags = [...shards.values()].flatMap(({ shardId, lagMs }) =>
      lagMs === undefined ? [] : [[shardId, lagMs] as const],
    );
    const recordsPerSecond = workers.reduce((sum, one) => sum + one.recordsPerSecond, 0);
    this.#samples.push({ at, recordsPerSecond, lagMs: Object.fromEntries(lags) });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  get snapshot(): Snapshot {
    const shards = [...this.#shards.values()].toSorted((a, b) => (a.shardId < b.shardId ? -1 : 1));
    return { workers: this.#workers, shards, samples: this.#samples, events: this.#events };
  }

  /** The last total of a worker that does not answer is kept. */
  #worker({ name, pid, url, status, records }: WorkerAnswer, seconds: number): WorkerRow {
    const before = this.#workers.find((row) => row.name === name)?.records ?? 0;
    const total = records ?? before;
    return {
      name,
      pid,
      url,
      state: status?.state ?? "no answer",
      shards: status?.shards.filter(({ state }) => state !== "abandoned").length ?? 0,
      records: total,
      recordsPerSecond: seconds > 0 ? Math.max(0, total - before) / seconds : 0,
    };
  }

  /** A shard whose worker does not answer is kept until another worker reads it. */
  #shardsOf(answers: readonly WorkerAnswer[]): Map<string, ShardRow> {
    const shards = new Map<string, ShardRow>();
    for (const { name, status } of answers) {
      for (const { shardId, state, recordsInFlight, lagMs, error } of status?.shards ?? []) {
        if (state === "abandoned" && shards.has(shardId)) continue;
        shards.set(shardId, { shardId, worker: name, state, recordsInFlight, lagMs, error });
      }
    }
    for (const row of this.#shards.values()) {
      const isSilent = answers.some(({ name, status }) => name === row.worker && !status);
      if (!isSilent || shards.has(row.shardId)) continue;
      const unknown = { recordsInFlight: 0, lagMs: undefined, error: undefined };
      shards.set(row.shardId, { ...row, state: "not read", ...unknown });
    }
    return shards;
  }

  #report(at: number, workers: readonly WorkerRow[], shards: ReadonlyMap<string, ShardRow>): void {
    for (const { name, pid, state } of workers) {
      const before = this.#workers.find((row) => row.name === name)?.state ?? state;
      const isGone = state === "no answer";
      if (isGone === (before === "no answer")) continue;
      this.#event(at, `${name} (process ${pid}) ${isGone ? "does not answer" : "answers again"}`);
    }
    for (const { shardId, worker } of shards.values()) {
      const before = this.#shards.get(shardId)?.worker;
      if (before === worker) continue;
      const from = before === undefined ? "" : `, which ${before} read`;
      this.#event(at, `${worker} reads ${shardId}${from}`);
    }
  }

  #event(at: number, text: string): void {
    this.#events.unshift({ at, text });
    if (this.#events.length > MAX_EVENTS) this.#events.pop();
  }
}
