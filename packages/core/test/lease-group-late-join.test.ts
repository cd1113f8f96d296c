import { expect, test } from "vitest";
import { GroupWorld, handled, range, SCOPE, type Member } from "./support/group-world.ts";

const LATE_MS = 60_000;

/**
 * Two workers with two shards each. The first call of `a` to join takes effect only `LATE_MS` after it
 * was sent, long after a repetition of it has entered `a`. `a` is evicted meanwhile.
 */
async function evictedBeforeItsFirstJoin(): Promise<{ group: GroupWorld; a: Member; b: Member }> {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  let joins = 0;
  const a = await group.join("a", {}, undefined, (link) => {
    link.delays = (name) => {
      if (name === "joinWorker") joins += 1;
      return { there: name === "joinWorker" && joins === 1 ? LATE_MS : 0, back: 0 };
    };
  });
  const b = await group.join("b");
  await clock.advance(12_000);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  a.link.delays = undefined;
  a.link.state = "hangs";
  await clock.advance(20_000);
  expect(group.shares).toEqual({ b: 4 });
  return { group, a, b };
}

test("a join that takes effect after its worker's eviction keeps nothing from the others for longer than a lease", async () => {
  const { group, b } = await evictedBeforeItsFirstJoin();
  const { clock } = group.world;
  await clock.advance(LATE_MS - 32_000 + 500);
  const { workers } = group.data.application(SCOPE);
  expect(workers.get("a")?.counter, "its row is there, and nobody beats for it").toBe(0);
  await group.put(0, 40);
  await clock.advance(13_000);
  expect([...workers.keys()]).toEqual(["b"]);
  expect(group.shares).toEqual({ b: 4 });
  expect(handled(b)).toEqual(range(0, 40));
});

test("a worker that beats again after such a join takes itself for evicted, and joins again", async () => {
  const { group, a, b } = await evictedBeforeItsFirstJoin();
  const { clock } = group.world;
  await clock.advance(LATE_MS - 32_000 + 500);
  const { workers } = group.data.application(SCOPE);
  const { incarnation } = workers.get("a")!;
  a.link.state = "whole";
  await group.put(0, 40);
  await clock.advance(15_000);
  expect(a.run.settled).toBeUndefined();
  expect(workers.get("a")!.incarnation).not.toBe(incarnation);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  expect(handled(a, b)).toEqual(range(0, 40));
});
