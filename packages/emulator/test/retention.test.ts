import {
  DecreaseStreamRetentionPeriodCommand,
  IncreaseStreamRetentionPeriodCommand,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { defaultSettings } from "../src/model/stream-settings.ts";
import { Stream } from "../src/model/stream.ts";
import { setup } from "./setup.ts";

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 1);

const retention = { StreamName: "s" };
const increase = (hours: number) =>
  new IncreaseStreamRetentionPeriodCommand({ ...retention, RetentionPeriodHours: hours });
const decrease = (hours: number) =>
  new DecreaseStreamRetentionPeriodCommand({ ...retention, RetentionPeriodHours: hours });

describe("retention", () => {
  it("revives nothing when it is lowered and raised again", async () => {
    const { clock, kinesis, put, iterator, read } = setup();
    await kinesis.send(increase(48));
    await put("old");
    await clock.advance(30 * HOUR_MS);
    await put("new");
    const before = await iterator();
    await kinesis.send(decrease(24));
    await kinesis.send(increase(48));
    for (const at of [before, await iterator()]) {
      const { Records } = await read(at);
      expect(Records!.map(({ Data }) => Buffer.from(Data!).toString())).toEqual(["new"]);
    }
  });

  it("revives nothing when it is raised after records expired", async () => {
    const { clock, kinesis, put, iterator, read } = setup();
    await put("old");
    await clock.advance(25 * HOUR_MS);
    await kinesis.send(increase(48));
    expect((await read(await iterator())).Records).toEqual([]);
  });

  it("frees the records of shards that nobody reads any more, open and closed", () => {
    const stream = Stream.create(
      {
        name: "s",
        arn: "arn",
        createdAt: START,
        incarnation: 0,
        firstSecond: 0,
        settings: defaultSettings(),
        quotas: {},
      },
      2,
    );
    const [split, open] = stream.open.all;
    const record = { partitionKey: "k", data: new Uint8Array(10), size: 11, encrypted: false };
    for (const shard of [split!, open!]) shard.append(record, START);
    stream.split(split!, split!.range.end / 2n, START);
    const later = START + 25 * HOUR_MS;
    // Somebody looks at another shard.
    const [child] = stream.open.all;
    stream.shard(child!.id, later);
    expect([split!, open!].map((shard) => shard.next - shard.first)).toEqual([0, 0]);
    expect(stream.childrenOf(split!)).toHaveLength(2);
    expect(stream.shards(later).map(({ id }) => id)).not.toContain(split!.id);
  });
});
