/** The shards that the user has paused. Shared by all scans of a consumer. */
export class Pauses {
  /** True if any shard is paused. Read for each record. */
  any = false;
  /** One entry for each `pause` in effect, with its shards; undefined = all shards. */
  readonly #pauses = new Set<{ readonly shardIds: ReadonlySet<string> | undefined }>();
  /** Callbacks of the shards that wait for the next resumption. */
  #waiting: (() => void)[] = [];

  /** Returns a function that ends this pause. A shard stays paused while any pause of it lasts. */
  add(shardIds: readonly string[] | undefined): () => void {
    const pause = { shardIds: shardIds && new Set(shardIds) };
    this.#pauses.add(pause);
    this.any = true;
    return () => {
      if (!this.#pauses.delete(pause)) return;
      this.any = this.#pauses.size > 0;
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }

  holds(shardId: string): boolean {
    if (!this.any) return false;
    return [...this.#pauses].some(({ shardIds }) => shardIds?.has(shardId) ?? true);
  }

  /** Resolves when the shard is no longer paused or the signal aborts. */
  async untilResumed(shardId: string, signal: AbortSignal): Promise<void> {
    while (this.holds(shardId) && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener("abort", wake);
          this.#waiting = this.#waiting.filter((each) => each !== wake);
          resolve();
        };
        signal.addEventListener("abort", wake, { once: true });
        this.#waiting.push(wake);
      });
    }
  }
}
