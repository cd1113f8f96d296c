import { LeaseLostError } from "@kc/core";
import { expect, it } from "vitest";
import { ApplicationKeys } from "../src/keys.ts";
import { at, connect, openStore, ownScope, SHARD, writeOf } from "./support/redis.ts";

const ROUNDS = 1000;

/** Takes the lease as another worker does, and returns the checkpoint that it found. */
const CLAIM = `
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'owner', ARGV[2])
return redis.call('GET', KEYS[1])`;

it("a claim that races a write is decided: what the claimant found is what stays", async () => {
  const [claimant, writer] = [connect(), connect()];
  const scope = ownScope();
  const [checkpoint, companion] = new ApplicationKeys("", scope).shard(SHARD);
  const store = openStore({ client: writer });
  await store.setCheckpoint(scope, writeOf(at(0)));
  const told = { written: 0, lost: 0 };
  for (let n = 1; n <= ROUNDS; n++) {
    const fence = { epoch: 2 * n, owner: "zombie#1" };
    await claimant.hset(companion, fence);
    const claim = async (): Promise<unknown> => {
      // The write takes some turns to reach the socket: the claim comes before, between and after.
      for (let turn = 0; turn < n % 4; turn++) await new Promise(setImmediate);
      return claimant.eval(CLAIM, 2, checkpoint, companion, 2 * n + 1, "claimant#1");
    };
    // One in ten is no race, but one of its two outcomes, so that both are seen on any machine.
    const first = n % 20 === 0 ? await claim() : undefined;
    const write = store.setCheckpoint(scope, { ...writeOf(at(n)), fence });
    if (n % 20 === 10) await write;
    const claiming = n % 20 === 0 ? first : claim();
    const [written, found] = await Promise.allSettled([write, claiming]);
    if (found.status === "rejected") throw found.reason;
    if (written.status === "fulfilled") told.written += 1;
    else if (written.reason instanceof LeaseLostError) told.lost += 1;
    else throw written.reason;
    const stands = await claimant.get(checkpoint);
    expect(stands, `round ${n}: the write was ${written.status}`).toBe(found.value);
  }
  expect(told.written + told.lost).toBe(ROUNDS);
  expect(told.written, "both have won").toBeGreaterThan(0);
  expect(told.lost, "both have won").toBeGreaterThan(0);
});
