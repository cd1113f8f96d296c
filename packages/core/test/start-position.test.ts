import { expect, test } from "vitest";
import { startPosition, type ShardHistory } from "../src/checkpoints/start-position.ts";
import { SHARD_END, type ApplicationRow, type StartPosition } from "../src/index.ts";

const startedAt = new Date("2026-01-01T11:59:55Z");
const timestamp = new Date("2026-01-01T06:00:00Z");

interface Case {
  readonly start: StartPosition;
  readonly firstStart?: boolean;
  readonly migrated?: boolean;
  readonly shard?: Partial<ShardHistory>;
}

const LATEST = { ShardIteratorType: "LATEST" };
const HORIZON = { ShardIteratorType: "TRIM_HORIZON" };
const SINCE_START = { ShardIteratorType: "AT_TIMESTAMP", Timestamp: startedAt };
const SINCE_TIMESTAMP = { ShardIteratorType: "AT_TIMESTAMP", Timestamp: timestamp };

const checkpoint = { kind: "position", sequenceNumber: "42" } as const;
const AFTER_42 = { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: "42" };
const AT_42 = { ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: "42" };

test.each<[string, Case, object]>([
  ["first start, LATEST", { start: "LATEST" }, LATEST],
  ["first start, TRIM_HORIZON", { start: "TRIM_HORIZON" }, HORIZON],
  ["first start, a time", { start: { timestamp } }, SINCE_TIMESTAMP],
  [
    "first start, after its parents",
    { start: "LATEST", shard: { afterParent: true } },
    SINCE_START,
  ],
  ["first start, held before", { start: "LATEST", shard: { firstGrant: false } }, SINCE_START],
  ["later start, LATEST", { start: "LATEST", firstStart: false }, SINCE_START],
  ["later start, TRIM_HORIZON", { start: "TRIM_HORIZON", firstStart: false }, HORIZON],
  ["later start, a time", { start: { timestamp }, firstStart: false }, SINCE_TIMESTAMP],
  ["appeared meanwhile, LATEST", { start: "LATEST", shard: { presentAtStart: false } }, HORIZON],
  [
    "appeared meanwhile, a time",
    { start: { timestamp }, shard: { presentAtStart: false } },
    HORIZON,
  ],
  ["migrated, unlisted, first start", { start: "LATEST", migrated: true }, LATEST],
  [
    "migrated, unlisted, later",
    { start: "LATEST", migrated: true, firstStart: false },
    SINCE_START,
  ],
  ["migrated, child", { start: "LATEST", migrated: true, shard: { afterParent: true } }, HORIZON],
  [
    "migrated, child, after a crash",
    { start: { timestamp }, migrated: true, firstStart: false, shard: { afterParent: true } },
    HORIZON,
  ],
  ["a checkpoint", { start: "LATEST", shard: { checkpoint } }, AFTER_42],
  [
    "a checkpoint, appeared meanwhile",
    { start: "LATEST", shard: { checkpoint, presentAtStart: false } },
    AFTER_42,
  ],
  [
    "a checkpoint inside an aggregate",
    { start: "LATEST", shard: { checkpoint: { ...checkpoint, subSequenceNumber: 7 } } },
    AT_42,
  ],
  [
    "an end, asked to be read all the same",
    { start: "TRIM_HORIZON", shard: { checkpoint: SHARD_END } },
    HORIZON,
  ],
])("%s", (_, { start, firstStart = true, migrated = false, shard }, expected) => {
  const row: ApplicationRow = {
    application: "billing",
    streamName: "orders",
    streamARN: "",
    start,
    startedAt,
    migrated,
  };
  const history: ShardHistory = {
    checkpoint: undefined,
    presentAtStart: true,
    afterParent: false,
    firstGrant: true,
    ...shard,
  };
  expect(startPosition({ row, firstStart }, history)).toEqual(expected);
});
