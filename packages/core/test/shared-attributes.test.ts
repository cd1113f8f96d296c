import { expect, test } from "vitest";
import type { Counter } from "../src/index.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";

type Attributes = Readonly<Record<string, string>>;

/** The attributes objects that were handed over for each metric, in order. */
function seenBy(perShard: boolean) {
  const seen: (readonly [string, Attributes])[] = [];
  const see = (name: string, _value: number, attributes: Attributes): void =>
    void seen.push([name, attributes]);
  const counter: Counter = { perShard, add: see, set: see, record: see };
  const telemetry = new Telemetry({ counter }, { stream: "orders", application: "billing" });
  return { seen, telemetry };
}

test("series of a shard with the same attributes come with one object, others with others", () => {
  const { seen, telemetry } = seenBy(true);
  for (const shardId of ["a", "b", "a"]) {
    telemetry.add("records", 1, { shardId });
    telemetry.set("lag", 1, { shardId });
    telemetry.add("checkpoints", 1, { shardId, outcome: "written" });
  }
  const objects = new Map(seen.map(([, attributes]) => [attributes, attributes]));
  expect([...objects.values()]).toEqual([
    { shardId: "a", stream: "orders", application: "billing" },
    { shardId: "a", outcome: "written", stream: "orders", application: "billing" },
    { shardId: "b", stream: "orders", application: "billing" },
    { shardId: "b", outcome: "written", stream: "orders", application: "billing" },
  ]);
});

test("attributes with the same values under other names are others", () => {
  const { seen, telemetry } = seenBy(true);
  telemetry.add("leases_released", 1, { reason: "failed" });
  telemetry.add("errors", 1, { error: "failed" });
  expect(seen.map(([, attributes]) => attributes)).toEqual([
    { reason: "failed", stream: "orders", application: "billing" },
    { error: "failed", stream: "orders", application: "billing" },
  ]);
});

test("folded, all shards have one object", () => {
  const { seen, telemetry } = seenBy(false);
  for (const shardId of ["a", "b"]) telemetry.add("records", 1, { shardId });
  telemetry.record("poll_duration", 1, {});
  expect(new Set(seen.map(([, attributes]) => attributes)).size).toBe(1);
  expect(seen[0]![1]).toEqual({ stream: "orders", application: "billing" });
});
