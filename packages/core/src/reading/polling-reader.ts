import type { ApplicationStart } from "../checkpoints/start-position.ts";
import type { Clock } from "../clock.ts";
import { ShardAggregates, type Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { PollOptions } from "./pacing.ts";
import { PollGate } from "./poll-gate.ts";
import type { ReadAccount } from "./read-account.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { SharedReading } from "./shared-reading.ts";
import type { Page, ReaderStatus, ReadShard, ShardReader } from "./shard-reader.ts";
import { ShardPoller } from "./shard-poller.ts";

export interface PollingOptions {
  readonly application: ApplicationStart;
  readonly poll: PollOptions & { readonly maxRecords: number; readonly readShare: number };
  readonly deaggregate: Deaggregate;
  readonly shared: SharedReading;
  readonly stream: StreamClient;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Reads one shard with GetRecords, some pages ahead of its delivery. */
export class PollingReader implements ShardReader {
  readonly #account: ReadAccount;
  readonly #gate: PollGate;
  readonly #ahead: ReadAhead;

  constructor(shard: ReadShard, options: PollingOptions) {
    const { shardId, start, stop, hashKeyRange, isHandling } = shard;
    const { poll, shared, deaggregate, stream, telemetry } = options;
    const account = shared.budget.open();
    account.isHandling = isHandling;
    this.#account = account;
    this.#gate = new PollGate({ ...options, ...poll, shardId, account });
    const { distribution } = stream;
    const aggregates = deaggregate
      ? new ShardAggregates({ shardId, hashKeyRange, deaggregate, distribution, telemetry })
      : undefined;
    const poller = new ShardPoller({ ...options, shardId, start, gate: this.#gate, aggregates });
    this.#ahead = new ReadAhead({ poller, account, stop });
  }

  next(): Promise<Page | undefined> {
    return this.#ahead.next();
  }

  reopen(): void {
    this.#ahead.reopen();
  }

  status(now: number): ReaderStatus {
    const { first, records } = this.#ahead;
    return {
      recordsAhead: records,
      lagMs:
        first === undefined
          ? this.#gate.lagMs(now)
          : first.millisBehindLatest + now - first.receivedAt,
      hasPage: first !== undefined,
      arrivalMs: first?.arrivalMs ?? 0,
      overdueMs: this.#gate.overdueMs(now),
      sinceLastPollMs: this.#gate.sinceLastPollMs,
      answered: this.#gate.answered,
    };
  }

  close(): void {
    this.#ahead.close();
    this.#account.close();
  }
}
