/** A job that starts when all earlier jobs of its lane are finished. */
export interface InLane<Job> {
  /** Its lane; undefined = a lane of its own. */
  readonly key: string | undefined;
  /** The next job in the lane. Set only by `Lanes`. */
  behind: Job | undefined;
  /** The next job that is ready. Set only by `Lanes`. */
  nextReady: Job | undefined;
}

/**
 * Decides which job starts next. A lane is a sequence of jobs that run one after another: only its first
 * job is ready, until that is finished. Of the ready jobs the one that has waited longest starts first, so
 * that no lane starves another. Pure. Each operation takes constant time and allocates nothing except an
 * entry for a lane with a job in it.
 */
export class Lanes<Job extends InLane<Job>> {
  /** The last job of each lane that has any. */
  readonly #last = new Map<string, Job>();
  /** The ready jobs, in order. */
  #firstReady: Job | undefined;
  #lastReady: Job | undefined;
  #waiting = 0;

  /** The number of jobs that have not started. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The job behind which the next job of this lane must wait; undefined = the lane is free. */
  lastOf(key: string | undefined): Job | undefined {
    return key === undefined || this.#last.size === 0 ? undefined : this.#last.get(key);
  }

  /** A job starts without waiting: its lane is free. */
  enter(job: Job): void {
    if (job.key !== undefined) this.#last.set(job.key, job);
  }

  /** A job waits behind the last job of its lane. */
  follow(last: Job, job: Job): void {
    last.behind = job;
    this.#last.set(job.key!, job);
    this.#waiting += 1;
  }

  /** The first job of a lane is ready to start, for the first time or again. */
  ready(job: Job): void {
    this.#waiting += 1;
    this.#enqueue(job);
  }

  /** The job that starts next; undefined = none is ready. */
  get first(): Job | undefined {
    return this.#firstReady;
  }

  /** Moves the first ready job that satisfies the condition to the front. Returns false if none does. */
  moveToFront(condition: (job: Job) => boolean): boolean {
    let before: Job | undefined;
    for (let job = this.#firstReady; job !== undefined; before = job, job = job.nextReady) {
      if (!condition(job)) continue;
      if (before === undefined) return true;
      before.nextReady = job.nextReady;
      if (this.#lastReady === job) this.#lastReady = before;
      job.nextReady = this.#firstReady;
      this.#firstReady = job;
      return true;
    }
    return false;
  }

  /** Removes and returns the first ready job: it starts. */
  take(): Job {
    const job = this.#firstReady!;
    this.#firstReady = job.nextReady;
    if (job.nextReady === undefined) this.#lastReady = undefined;
    job.nextReady = undefined;
    this.#waiting -= 1;
    return job;
  }

  /** The first job of a lane is finished: the job behind it becomes ready. */
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
