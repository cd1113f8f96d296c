import { expect, test } from "vitest";
import type { KinesisClientLike } from "../src/index.ts";
import { GroupWorld, handled, range, SCOPE, type Member } from "./support/group-world.ts";

/** A client whose way to Kinesis can be cut. */
class CutClient implements KinesisClientLike {
  readonly #client: KinesisClientLike;
  isCut = false;
  /** Operations that fail while it is cut; undefined = all. */
  only: readonly string[] | undefined;

  constructor(client: KinesisClientLike) {
    this.#client = client;
  }

  send(
    command: { readonly constructor: { readonly name: string } },
    options?: object,
  ): Promise<unknown> {
    const name = command.constructor.name.replace("Command", "");
    if (this.isCut && (this.only?.includes(name) ?? true)) {
      return Promise.reject(Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" }));
    }
    return this.#client.send(command, options) as Promise<unknown>;
  }
}

const MINUTE = 60_000;

test("a worker that has lost Kinesis leaves its shards to those who can read, and comes back once it can", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { world } = group;
  const client = new CutClient(world.kinesis);
  const a = await group.join("a");
  const b = await group.join("b", { consumer: { client } });
  await world.clock.advance(10_000);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  client.isCut = true;
  await world.clock.advance(MINUTE / 2);
  expect(group.shares, "it may pass").toEqual({ a: 2, b: 2 });
  await group.put(0, 40);
  await world.clock.advance(2 * MINUTE);
  expect(group.shares).toEqual({ a: 4 });
  expect(handled(a, b)).toEqual(range(0, 40));
  expect(b.group.status().state).toBe("joining");
  expect(b.run.consumer.health()).toMatchObject({ alive: true, ready: false });
  const [line] = world.logger.find("warn", /cannot read: it leaves its shards/);
  expect(line?.fields).toMatchObject({ workerId: "b", why: "Kinesis cannot be reached from here" });
  client.isCut = false;
  await world.clock.advance(MINUTE);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  await group.put(40, 40);
  await world.clock.advance(10_000);
  expect(handled(a, b)).toEqual(range(0, 80));
});

/** Two workers of two shards each, each with a way to Kinesis of its own. */
async function twoWorkers(): Promise<{
  readonly group: GroupWorld;
  readonly members: readonly [Member, Member];
  readonly clients: readonly [CutClient, CutClient];
}> {
  const group = await GroupWorld.of({ shards: 4 });
  const { world } = group;
  const clients = [new CutClient(world.kinesis), new CutClient(world.kinesis)] as const;
  const a = await group.join("a", { consumer: { client: clients[0] } });
  const b = await group.join("b", { consumer: { client: clients[1] } });
  await world.clock.advance(10_000);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  return { group, members: [a, b], clients };
}

/** What the shards' rows tell of them. */
function lineages(group: GroupWorld): string {
  const { shards } = group.data.application(SCOPE);
  return [...shards.values()].map(({ lineage }) => lineage).join();
}

test("an outage of Kinesis for all moves no shard, and all read their own again with the next retry", async () => {
  const { group, members, clients } = await twoWorkers();
  const { clock, logger } = group.world;
  const { owners } = group;
  for (const client of clients) client.isCut = true;
  await group.put(0, 40);
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(MINUTE);
    expect(group.owners).toEqual(owners);
  }
  expect(lineages(group)).toMatch(/"unreadBy":"a#.*"unreadBy":"b#/);
  for (const client of clients) client.isCut = false;
  await clock.advance(30_000);
  expect(handled(...members)).toEqual(range(0, 40));
  await clock.advance(5 * MINUTE);
  expect(group.owners).toEqual(owners);
  expect(lineages(group)).not.toMatch(/unreadBy|readableBy/);
  expect(logger.find("warn", /cannot read/)).toEqual([]);
});

test("a worker that has lost Kinesis leaves its shards also while a handler is at records that came before", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { world } = group;
  const client = new CutClient(world.kinesis);
  const a = await group.join("a");
  let stuckShard: string | undefined;
  await group.join("b", { consumer: { client } }, ({ shardId }) => {
    stuckShard ??= shardId;
    return shardId === stuckShard ? new Promise<void>(() => {}) : undefined;
  });
  await world.clock.advance(10_000);
  await group.put(0, 40);
  await world.clock.advance(5000);
  expect(stuckShard).toBeDefined();
  client.isCut = true;
  await group.put(40, 40);
  await world.clock.advance(3 * MINUTE);
  expect(group.shares).toEqual({ a: 4 });
  expect(handled(a).filter((number) => number >= 40)).toEqual(range(40, 40));
});

test("once one of all reaches Kinesis again, the others leave their shards to it", async () => {
  const { group, members, clients } = await twoWorkers();
  const { clock } = group.world;
  for (const client of clients) client.isCut = true;
  await group.put(0, 40);
  await clock.advance(5 * MINUTE);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  clients[1].isCut = false;
  await clock.advance(MINUTE);
  expect(group.shares).toEqual({ b: 4 });
  expect(handled(...members)).toEqual(range(0, 40));
});

test("a worker that reaches Kinesis again soon after another keeps its shards", async () => {
  const { group, clients } = await twoWorkers();
  const { clock } = group.world;
  const { owners } = group;
  for (const client of clients) client.isCut = true;
  await clock.advance(5 * MINUTE);
  clients[1].isCut = false;
  await clock.advance(8000);
  expect(lineages(group)).toMatch(/"readableBy":"b#/);
  clients[0].isCut = false;
  await clock.advance(5 * MINUTE);
  expect(group.owners).toEqual(owners);
});

test("a worker without shards answers too, and one that is gone does not", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const clients = [new CutClient(world.kinesis), new CutClient(world.kinesis)] as const;
  await group.join("a", { consumer: { client: clients[0] } });
  await world.clock.advance(10_000);
  const b = await group.join("b", { consumer: { client: clients[1] } });
  for (const client of clients) client.isCut = true;
  await world.clock.advance(2 * MINUTE);
  const application = group.data.application(SCOPE);
  const [shard] = [...application.shards.values()];
  shard!.lineage = JSON.stringify({ ...JSON.parse(shard!.lineage!), readableBy: "c#gone" });
  application.revision += 1;
  await world.clock.advance(2 * MINUTE);
  expect(group.shares, "c lives no more").toEqual({ a: 1 });
  await group.put(0, 10);
  clients[1].isCut = false;
  await world.clock.advance(MINUTE);
  expect(group.shares).toEqual({ b: 1 });
  expect(handled(b)).toEqual(range(0, 10));
});

test("a worker alone keeps its shards, and so does one whose listings are answered", async () => {
  const alone = await GroupWorld.of({ shards: 2 });
  const client = new CutClient(alone.world.kinesis);
  const a = await alone.join("a", { consumer: { client } });
  await alone.world.clock.advance(10_000);
  client.isCut = true;
  await alone.world.clock.advance(10 * MINUTE);
  expect(a.group.status().state).toBe("member");

  const group = await GroupWorld.of({ shards: 4 });
  const half = new CutClient(group.world.kinesis);
  await group.join("a");
  const b = await group.join("b", { consumer: { client: half } });
  await group.world.clock.advance(10_000);
  half.only = ["GetRecords"];
  half.isCut = true;
  await group.world.clock.advance(10 * MINUTE);
  expect(group.shares).toEqual({ a: 2, b: 2 });
  expect(b.group.status().state).toBe("member");
  for (const { logger } of [alone.world, group.world]) {
    expect(logger.find("warn", /cannot read/)).toEqual([]);
  }
});

test("a shard whose earlier handler does not return here is read by another worker", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  let release = (): void => {};
  const stuck = new Promise<void>((resolve) => (release = resolve));
  const a = await group.join("a");
  const b = await group.join("b", {}, () => stuck);
  await world.clock.advance(10_000);
  await group.put(0, 20);
  await world.clock.advance(1000);
  // Its lease is lost while its handler runs, and it comes back.
  b.link.state = "cut";
  await world.clock.advance(20_000);
  b.link.state = "whole";
  await world.clock.advance(30_000);
  expect(group.shares, "it is a member again").toEqual({ a: 1, b: 1 });
  await world.clock.advance(2 * MINUTE);
  expect(group.shares).toEqual({ a: 2 });
  expect(new Set(a.run.texts.map(Number)).size).toBe(20);
  release();
  await world.clock.advance(MINUTE);
  expect(group.shares).toEqual({ a: 1, b: 1 });
});
