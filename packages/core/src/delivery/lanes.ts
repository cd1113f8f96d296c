/** Something that is handled once all before it in its lane are over. */
export interface InLane<Job> {
  /** Its lane; undefined = it has one of its own. */
  readonly key: string | undefined;
  /** The next one in the lane. Set by `Lanes` alone. */
  behind: Job | undefined;
  /** The next one that is ready. Set by `Lanes` alone. */
  nextReady: Job | undefined;
}

/**
 * Which job may start: in each lane the first one alone, until it is over; and of those that may, the one
 * that has waited longest, so that no lane starves another. Pure; each operation takes constant time, and
 * none allocates anything but an entry for a lane with a job in it.
 */
export class Lanes<Job extends InLane<Job>> {
  /** The last job of each lane that has one. */
  readonly #last = new Map<string, Job>();
  /** Those that may start, in order. */
  #firstReady: Job | undefined;
  #lastReady: Job | undefined;
  #waiting = 0;

  /** Jobs that are in a lane behind another, or ready. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The job behind which the next one of this lane has to wait; undefined = it may start. */
  lastOf(key: string | undefined): Job | undefined {
    return key === undefined || this.#last.size === 0 ? undefined : this.#last.get(key);
  }

  /** A job starts at once: its lane is empty. */
  enter(job: Job): void {
    if (job.key !== undefined) this.#last.set(job.key, job);
  }

  /** A job waits behind the last one of its lane. */
  follow(last: Job, job: Job): void {
    last.behind = job;
    this.#last.set(job.key!, job);
    this.#waiting += 1;
  }

  /** The first job of a lane is to be started, again or for the first time. */
  ready(job: Job): void {
    this.#waiting += 1;
    this.#enqueue(job);
  }

  /** The job that may start first; undefined = none may. */
  get first(): Job | undefined {
    return this.#firstReady;
  }

  /** The first job with which it is so becomes the first of all. False = it is so with none. */
  prefer(isSo: (job: Job) => boolean): boolean {
    let before: Job | undefined;
    for (let job = this.#firstReady; job !== undefined; before = job, job = job.nextReady) {
      if (!isSo(job)) continue;
      if (before === undefined) return true;
      before.nextReady = job.nextReady;
      if (this.#lastReady === job) this.#lastReady = before;
      job.nextReady = this.#firstReady;
      this.#firstReady = job;
      return true;
    }
    return false;
  }

  /** The first that may start does so. */
  take(): Job {
    const job = this.#firstReady!;
    this.#firstReady = job.nextReady;
    if (job.nextReady === undefined) this.#lastReady = undefined;
    job.nextReady = undefined;
    this.#waiting -= 1;
    return job;
  }

  /** The first job of a lane is over: the one behind it is ready. */
  leave(job: Job): void {
    const { key, behind } = job;
    job.behind = undefined;
    if (behind !== undefined) this.#enqueue(behind);
    else if (key !== undefined) this.#last.delete(key);
  }

  #enqueue(job: Job): void {
    if (this.#lastReady === undefined) this.#firstReady = job;
    else this.#lastReady.nextReady = job;
    this.#lastReady = job;
  }
}
