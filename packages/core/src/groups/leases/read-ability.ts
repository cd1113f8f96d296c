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
 * Whether this worker can read what it holds, and whether others could. It leaves its shards to them
 * - if none of its shards has had a reply for `yieldAfterMs`, a listing of the stream is not answered
 *   either, and another worker has shown since that its own listing is. A last listing begins after
 *   that: in an outage for all, no worker leaves, and at its end all are answered;
 * - if a shard has waited so long for a handler of this process that had it before and never returned.
 *
 * able → (unread, listing not answered) cut off: it notes so, and lists again and again → (another
 * worker answers, and one more listing fails) lacking; from anywhere → (a reply) able.
 */
export class ReadAbility {
  readonly #options: ReadAbilityOptions;
  readonly #probe: ReachProbe;
  /** Made when another worker asks. */
  readonly #probeForOthers: ReachProbe;
  #isCutOff = false;
  /** Had another worker answered before the last listing began? */
  #wasAnswered = false;

  constructor(options: ReadAbilityOptions) {
    this.#options = options;
    this.#probe = new ReachProbe(options.host);
    this.#probeForOthers = new ReachProbe(options.host);
  }

  /**
   * Called once a round, with the shards that this worker holds. Answers why it should leave them to
   * others; undefined = it can read, it is not certain yet, or no other worker can. @throws StoreError
   */
  async lacking(view: View, held: (shardId: string) => boolean): Promise<string | undefined> {
    const notes = reachNotes(view, this.#options.worker);
    const isAlone = view.workers.length <= 1;
    if (isAlone) this.stop();
    const why = isAlone ? undefined : this.#look(notes);
    const changes = [...this.#ownNotes(notes, view, held), ...this.#answers(notes)];
    if (changes.length > 0) await this.#options.put(changes);
    return why;
  }

  /** Ends the listings that are under way. */
  stop(): void {
    this.#able();
    this.#probeForOthers.stop();
  }

  #able(): void {
    this.#probe.stop();
    this.#isCutOff = this.#wasAnswered = false;
  }

  #look({ isAnswered }: ReachNotes): string | undefined {
    const { host, yieldAfterMs } = this.#options;
    const { unreadForMs, waitingForMs } = host.blockage();
    if (waitingForMs >= yieldAfterMs) {
      return "a shard waits for a handler of this process that had it before and does not return";
    }
    const probe = this.#probe;
    if (unreadForMs < yieldAfterMs) this.#able();
    else if (probe.ageMs === undefined) probe.begin();
    else if (probe.isAnswered) {
      this.#isCutOff = this.#wasAnswered = false;
      if (probe.ageMs >= yieldAfterMs) probe.stop();
    } else if (this.#isCutOff && isAnswered && !this.#wasAnswered) {
      // At once: the two listings should show the same moment.
      this.#wasAnswered = true;
      probe.begin();
    } else if (probe.isOver) {
      if (this.#wasAnswered) return "Kinesis cannot be reached from here";
      this.#isCutOff = true;
      probe.begin();
    }
    return undefined;
  }

  /** One row suffices; what was noted before goes with its reason. */
  #ownNotes({ own }: ReachNotes, view: View, held: (shardId: string) => boolean): ShardPut[] {
    if (!this.#isCutOff) return own.map((shard) => noted(shard, {}));
    if (own.length > 0) return [];
    const first = [...view.shards.values()].find(({ shardId }) => held(shardId));
    return first ? [noted(first, { unreadBy: ownerOf(this.#options.worker) })] : [];
  }

  #answers({ open }: ReachNotes): ShardPut[] {
    const probe = this.#probeForOthers;
    if (open.length === 0) probe.stop();
    else if (probe.ageMs === undefined || probe.isOver) probe.begin();
    if (!probe.isAnswered) return [];
    const readableBy = ownerOf(this.#options.worker);
    return open.map((shard) => noted(shard, { unreadBy: shard.unreadBy, readableBy }));
  }
}
