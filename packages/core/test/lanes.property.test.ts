import fc from "fast-check";
import { expect, test } from "vitest";
import { Lanes, type InLane } from "../src/delivery/lanes.ts";

class Job implements InLane<Job> {
  readonly key: string | undefined;
  readonly number: number;
  behind: Job | undefined = undefined;
  nextReady: Job | undefined = undefined;
  constructor(key: string | undefined, number: number) {
    this.key = key;
    this.number = number;
  }
}

/** Records arrive, some are done, some fail and are ready again later. */
const stories = fc.array(
  fc.oneof(
    fc.record({ arrives: fc.constantFrom("a", "b", "c", "d", undefined) }),
    fc.record({ ends: fc.nat(), fails: fc.boolean() }),
    fc.record({ retries: fc.nat() }),
  ),
  { maxLength: 200 },
);

test("in each lane one job at a time is started, in order, retries included, and none is forgotten", () => {
  fc.assert(
    fc.property(stories, fc.integer({ min: 1, max: 4 }), (story, concurrency) => {
      const lanes = new Lanes<Job>();
      const running: Job[] = [];
      const failed: Job[] = [];
      const done: Job[] = [];
      const arrived: Job[] = [];
      const waitingAt: (Job | undefined)[] = [];
      const start = (job: Job): void => {
        const ofLane = [...running, ...failed].filter(({ key }) => key === job.key);
        if (job.key !== undefined) expect(ofLane).toEqual([]);
        const before = arrived.filter(({ key, number }) => key === job.key && number < job.number);
        if (job.key !== undefined) expect(done).toEqual(expect.arrayContaining(before));
        running.push(job);
        expect(running.length).toBeLessThanOrEqual(concurrency);
      };
      const pump = (): void => {
        while (running.length < concurrency && lanes.first !== undefined) start(lanes.take());
        for (let job = waitingAt[0]; job !== undefined; job = waitingAt[0]) {
          const last = lanes.lastOf(job.key);
          if (last === undefined && running.length >= concurrency) return;
          waitingAt.shift();
          if (last !== undefined) lanes.follow(last, job);
          else {
            lanes.enter(job);
            start(job);
          }
        }
      };
      const step = (event: (typeof story)[number]): void => {
        if ("arrives" in event) {
          const job = new Job(event.arrives, arrived.length);
          arrived.push(job);
          waitingAt.push(job);
        } else if ("retries" in event) {
          const [job] = failed.splice(event.retries % Math.max(1, failed.length), 1);
          if (job !== undefined) lanes.ready(job);
        } else {
          const [job] = running.splice(event.ends % Math.max(1, running.length), 1);
          if (job === undefined) return;
          if (event.fails) failed.push(job);
          else {
            done.push(job);
            lanes.leave(job);
          }
        }
        pump();
      };
      for (const event of story) step(event);
      for (let i = 0; done.length < arrived.length && i < 10_000; i += 1) {
        step(failed.length > 0 ? { retries: 0 } : { ends: 0, fails: false });
      }
      expect(done).toHaveLength(arrived.length);
      expect(lanes.waiting).toBe(0);
      for (const key of ["a", "b", "c", "d"]) expect(lanes.lastOf(key)).toBeUndefined();
    }),
  );
});

test("of the jobs that are ready another may be preferred, and none is lost or doubled", () => {
  fc.assert(
    fc.property(fc.nat({ max: 6 }), fc.nat({ max: 8 }), (count, wanted) => {
      const lanes = new Lanes<Job>();
      const jobs = Array.from({ length: count }, (_, i) => new Job(undefined, i));
      for (const job of jobs) lanes.ready(job);
      expect(lanes.moveToFront(({ number }) => number === wanted)).toBe(wanted < count);
      lanes.ready(new Job(undefined, 99));
      const order: number[] = [];
      while (lanes.first !== undefined) order.push(lanes.take().number);
      const rest = jobs.map(({ number }) => number).filter((number) => number !== wanted);
      expect(order).toEqual([...(wanted < count ? [wanted] : []), ...rest, 99]);
      expect(lanes.waiting).toBe(0);
    }),
  );
});

test("a lane with many jobs gets its turn after the others that are ready, and no sooner", () => {
  const lanes = new Lanes<Job>();
  const hot = Array.from({ length: 4 }, (_, i) => new Job("hot", i));
  lanes.enter(hot[0]!);
  for (const job of hot.slice(1)) lanes.follow(lanes.lastOf("hot")!, job);
  const retried = new Job("cold", 9);
  lanes.enter(retried);
  const order: (string | undefined)[] = [];
  lanes.leave(hot[0]!);
  lanes.ready(retried);
  while (lanes.first !== undefined) {
    const job = lanes.take();
    order.push(`${job.key} ${job.number}`);
    lanes.leave(job);
  }
  expect(order).toEqual(["hot 1", "cold 9", "hot 2", "hot 3"]);
});
