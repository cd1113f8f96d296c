import { ownerOf, type ShardPut, type WorkerIdentity } from "../../checkpoints/lease-store.ts";
import type { GroupHost } from "../group.ts";
import type { View } from "./group-view.ts";
import { noted, reachNotes, type ReachNotes } from "./reach-notes.ts";
import { ReachProbe } from "./reach-probe.ts";

export interface ReadAbilityOptions {
  readonly host: GroupHost;
  readonly worker: WorkerIdentity;
  readonly yieldAfterMs: number;
  /** Replaces the lineages of shards. */
  readonly put: (shards: readonly ShardPut[]) => Promise<void>;
}

/**
 * Determines whether this worker can read the shards that it holds, and whether others could. It leaves its shards to
 * others in two cases:
 * - none of its shards has had a reply for `yieldAfterMs`, a listing of the stream is not answered either, and then
 *   another worker has shown that its own listing is answered. One more listing must fail after that, so that no worker
 *   leaves in an outage for all, at the end of which all are answered;
 * - a shard has waited for `yieldAfterMs` for an earlier handler of this process, which does not return.
 *
 * able → (unread, and a listing not answered) cut off: notes this in a row, and repeats the listing → (another worker
 * answers the note, and one more listing fails) unable. A reply leads back to able from any state.
 */
export class ReadAbility {
  readonly #options: ReadAbilityOptions;
  readonly #probe: ReachProbe;
  /** Used to answer the notes of other workers. */
  readonly #probeForOthers: ReachProbe;
  #isCutOff = false;
  /** True if another worker had answered before the last listing began. */
  #wasAnswered = false;

  constructor(options: ReadAbilityOptions) {
    this.#options = options;
    this.#probe = new ReachProbe(options.host);
    this.#probeForOthers = new ReachProbe(options.host);
  }

  /**
   * Called once per round. Returns why this worker should leave its shards to others; undefined = it can read, it is
   * not certain yet, or no other worker can. @param held whether this worker holds the shard @throws StoreError
   */
  async whyUnable(view: View, held: (shardId: string) => boolean): Promise<string | undefined> {
    const notes = reachNotes(view, this.#options.worker);
    const isAlone = view.workers.length <= 1;
    if (isAlone) this.stop();
    const why = isAlone ? undefined : this.#check(notes);
    const changes = [...this.#ownNotes(notes, view, held), ...this.#answers(notes)];
    if (changes.length > 0) await this.#options.put(changes);
    return why;
  }

  /** Cancels running listings. */
  stop(): void {
    this.#reset();
    this.#probeForOthers.stop();
  }

  #reset(): void {
    this.#probe.stop();
    this.#isCutOff = this.#wasAnswered = false;
  }

  #check({ isAnswered }: ReachNotes): string | undefined {
    const { host, yieldAfterMs } = this.#options;
    const { unreadForMs, waitingForMs } = host.blockage();
    if (waitingForMs >= yieldAfterMs) {
      return "a shard waits for an earlier handler of this process, which does not return";
    }
    const probe = this.#probe;
    if (unreadForMs < yieldAfterMs) this.#reset();
    else if (probe.ageMs === undefined) probe.begin();
    else if (probe.isAnswered) {
      this.#isCutOff = this.#wasAnswered = false;
      if (probe.ageMs >= yieldAfterMs) probe.stop();
    } else if (this.#isCutOff && isAnswered && !this.#wasAnswered) {
      // Without delay, so that the two workers' listings are close in time.
      this.#wasAnswered = true;
      probe.begin();
    } else if (probe.isTimedOut) {
      if (this.#wasAnswered) return "Kinesis cannot be reached from here";
      this.#isCutOff = true;
      probe.begin();
    }
    return undefined;
  }

  /** Writes a note into one row while cut off, and removes it afterwards. */
  #ownNotes({ own }: ReachNotes, view: View, held: (shardId: string) => boolean): ShardPut[] {
    if (!this.#isCutOff) return own.map((shard) => noted(shard, {}));
    if (own.length > 0) return [];
    const first = [...view.shards.values()].find(({ shardId }) => held(shardId));
    return first ? [noted(first, { unreadBy: ownerOf(this.#options.worker) })] : [];
  }

  #answers({ open }: ReachNotes): ShardPut[] {
    const probe = this.#probeForOthers;
    if (open.length === 0) probe.stop();
    else if (probe.ageMs === undefined || probe.isTimedOut) probe.begin();
    if (!probe.isAnswered) return [];
    const readableBy = ownerOf(this.#options.worker);
    return open.map((shard) => noted(shard, { unreadBy: shard.unreadBy, readableBy }));
  }
}
