import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { describeError, KcError } from "../errors.ts";
import type { ShardOutcome } from "../groups/group.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { ShardReader } from "../reading/shard-reader.ts";
import { firstNumber, isConfirmed, type ShardEndOptions } from "./shard-end.ts";
import type { Step } from "./work-status.ts";

export interface ShardPagesOptions extends ShardEndOptions {
  readonly reader: ShardReader;
  readonly delivery: Delivery;
  readonly progress: ShardProgress;
  /** The sequence number after which reading resumes; undefined = none is known. */
  readonly resumedAfter: string | undefined;
  readonly onShardClosed: ((shardId: string) => unknown) | undefined;
}

/**
 * Passes the pages of a shard from its reader to its delivery until the end of the shard, then confirms and stores
 * that end: reading ⇄ ending → closing.
 */
export class ShardPages {
  readonly #options: ShardPagesOptions;
  #step: Step = { kind: "reading" };
  /** Sequence number of the last record that was read; undefined = not known. */
  #last: string | undefined;

  constructor(options: ShardPagesOptions) {
    this.#options = options;
    this.#last = options.resumedAfter;
  }

  get step(): Step {
    return this.#step;
  }

  /** @throws the reason of `stop`, or an error of reader, delivery, store or hook */
  async run(): Promise<ShardOutcome> {
    const { reader, delivery } = this.#options;
    for (;;) {
      const page = await reader.next();
      if (page === undefined) {
        await delivery.settle();
        return { kind: "aged-out" };
      }
      this.#last = page.lastSequenceNumber ?? this.#last;
      await delivery.accept(page);
      if (page.end === undefined) continue;
      await delivery.settle();
      this.#step = { kind: "ending" };
      if (page.end.children.length > 0 || (await isConfirmed(this.#options))) {
        // If the shard had no records, its starting sequence number is stored.
        this.#last ??= await firstNumber(this.#options);
        reader.close();
        return this.#end(page.end.children);
      }
      this.#step = { kind: "reading" };
      reader.reopen();
    }
  }

  async #end(children: readonly Shard[]): Promise<ShardOutcome> {
    const { shardId, progress, telemetry, clock, onShardClosed } = this.#options;
    await progress.end(this.#last);
    telemetry.info("a shard was read to its end", {
      shardId,
      children: children.map((child) => child.shardId),
    });
    this.#step = { kind: "closing", since: clock.monotonic() };
    try {
      await onShardClosed?.(shardId);
    } catch (error) {
      const message = `${shardId}: onShardClosed failed: ${describeError(error)}`;
      throw new KcError("HOOK_FAILED", message, { shardId, cause: error });
    } finally {
      this.#step = { kind: "ending" };
    }
    return { kind: "ended", children };
  }
}
