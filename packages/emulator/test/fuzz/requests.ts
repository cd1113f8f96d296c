import { mutated } from "@kc-internal/test-services";
import { inputShapes } from "../../src/api/input-shapes.ts";
import type { OperationName } from "../../src/api/operation-types.ts";
import type { Members, Shape } from "../../src/api/shapes.ts";
import { forgedToken } from "./tokens.ts";
import type { TestWire } from "./wires.ts";

type Structure = Record<string, unknown>;

/** Stands in the data of sound requests, and in nothing else. */
export const CANARY = "canary-7c1f";
const DATA = Buffer.from(`${CANARY} in the data`);
const ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
const OTHER_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/u";
const SHARD = "shardId-000000000000";
const NUMBER = "49590338271490256608559692538361571095921575989136588898";

/** Sound requests, which the stream `s` carries out as long as no other request changes it. */
const SOUND: readonly (readonly [OperationName, Structure])[] = [
  [
    "CreateStream",
    { StreamName: "t", ShardCount: 2, StreamModeDetails: { StreamMode: "PROVISIONED" } },
  ],
  ["DeleteStream", { StreamName: "t" }],
  ["DescribeStream", { StreamName: "s", Limit: 2, ExclusiveStartShardId: SHARD }],
  ["DescribeStreamSummary", { StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s" }],
  ["ListShards", { StreamName: "s", MaxResults: 3, ShardFilter: { Type: "AT_LATEST" } }],
  ["ListStreams", { Limit: 3 }],
  ["PutRecord", { StreamName: "s", PartitionKey: "k", Data: DATA, ExplicitHashKey: "7" }],
  [
    "PutRecord",
    { StreamName: "s", PartitionKey: "k", Data: DATA, SequenceNumberForOrdering: NUMBER },
  ],
  [
    "PutRecords",
    { StreamName: "s", Records: ["k", "l"].map((PartitionKey) => ({ Data: DATA, PartitionKey })) },
  ],
  [
    "GetShardIterator",
    {
      StreamName: "s",
      ShardId: SHARD,
      ShardIteratorType: "AT_TIMESTAMP",
      Timestamp: new Date(1e9),
    },
  ],
  [
    "GetShardIterator",
    {
      StreamName: "s",
      ShardId: SHARD,
      ShardIteratorType: "AT_SEQUENCE_NUMBER",
      StartingSequenceNumber: NUMBER,
    },
  ],
  ["SplitShard", { StreamName: "s", ShardToSplit: SHARD, NewStartingHashKey: "9" }],
  [
    "MergeShards",
    { StreamName: "s", ShardToMerge: SHARD, AdjacentShardToMerge: "shardId-000000000001" },
  ],
  ["UpdateShardCount", { StreamName: "s", TargetShardCount: 3, ScalingType: "UNIFORM_SCALING" }],
  ["IncreaseStreamRetentionPeriod", { StreamName: "s", RetentionPeriodHours: 48 }],
  ["DecreaseStreamRetentionPeriod", { StreamName: "s", RetentionPeriodHours: 24 }],
  ["AddTagsToStream", { StreamName: "s", Tags: { team: "a" } }],
  ["ListTagsForStream", { StreamName: "s", Limit: 3 }],
  ["RemoveTagsFromStream", { StreamName: "s", TagKeys: ["team", "other"] }],
  ["PutResourcePolicy", { ResourceARN: ARN, Policy: '{"Statement":[]}' }],
  ["GetResourcePolicy", { ResourceARN: ARN }],
  ["TagResource", { ResourceARN: ARN, Tags: { team: "b" } }],
  ["EnableEnhancedMonitoring", { StreamName: "s", ShardLevelMetrics: ["IncomingBytes"] }],
  ["StartStreamEncryption", { StreamName: "s", EncryptionType: "KMS", KeyId: "alias/a" }],
  ["StopStreamEncryption", { StreamName: "s", EncryptionType: "KMS", KeyId: "alias/a" }],
  ["UpdateMaxRecordSize", { StreamARN: ARN, MaxRecordSizeInKiB: 2048 }],
  ["UpdateStreamMode", { StreamARN: OTHER_ARN, StreamModeDetails: { StreamMode: "ON_DEMAND" } }],
  [
    "UpdateStreamRecordDistributionStrategy",
    { StreamARN: OTHER_ARN, RecordDistributionStrategy: "AUTO" },
  ],
  ["PutRecord", { StreamName: "u", Data: DATA }],
];

/** What no member means, or one of another type. */
const HOSTILE: readonly unknown[] = [
  true,
  false,
  0,
  -1,
  1.5,
  -0.5,
  2 ** 31,
  2 ** 53,
  1e300,
  Infinity,
  -1e300,
  "",
  "x",
  "\0",
  "ü😀",
  "AAA",
  "AA-_",
  "A===",
  "x".repeat(100_000),
  [],
  {},
  [[]],
  [null],
  { a: { b: [] } },
  Buffer.from("bytes"),
  new Date(0),
  new Date(8e15),
];

/** Makes requests: sound ones, and such as were changed in their members, in their bytes, or in both. */
export class Requests {
  readonly #random: () => number;
  readonly #wire: TestWire;
  readonly #sound: readonly (readonly [OperationName, Structure])[];
  readonly #bodies: readonly Buffer[];

  /** @param tokens requests that carry a token of the service, which no constant can */
  constructor(
    wire: TestWire,
    random: () => number,
    tokens: readonly (readonly [OperationName, Structure])[],
  ) {
    this.#wire = wire;
    this.#random = random;
    this.#sound = [...SOUND, ...tokens];
    this.#bodies = this.#sound.map(([, input]) => wire.encode(input));
  }

  next(): { readonly operation: OperationName; readonly body: Buffer } {
    const [operation, sound] = this.#one(this.#sound);
    const input = structuredClone(sound);
    for (let changes = this.#below(3); changes > 0; changes -= 1) {
      this.#change(inputShapes[operation], input);
    }
    const body = this.#wire.encode(input);
    if (this.#below(4) > 0) return { operation, body };
    return { operation, body: Buffer.from(mutated(body, this.#bodies, this.#random)) };
  }

  #change(members: Members, structure: Structure): void {
    if (this.#below(20) === 0) {
      const name = this.#one(["Junk", "__proto__", "StreamId"]);
      const value = this.#one(HOSTILE);
      Object.defineProperty(structure, name, {
        value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
      return;
    }
    const name = this.#one(Object.keys(members));
    const shape = members[name]!;
    const given = structure[name];
    const isWhole = typeof given === "object" && given !== null && this.#below(3) > 0;
    if (isWhole && shape.type === "structure") this.#change(shape.members, given as Structure);
    else if (isWhole && shape.type === "list" && shape.member.type === "structure") {
      const entry: unknown = Array.isArray(given) ? given[0] : undefined;
      if (typeof entry === "object" && entry !== null) {
        this.#change(shape.member.members, entry as Structure);
      }
    } else this.#replace(structure, name, shape);
  }

  #replace(structure: Structure, name: string, shape: Shape): void {
    const kind = this.#below(8);
    if (kind === 0) delete structure[name];
    else if (kind === 1) structure[name] = null;
    else if (kind < 5) structure[name] = this.#one(HOSTILE);
    else structure[name] = this.#edge(shape, structure[name]);
  }

  /** A value at one of the ends of what a member may be, or just beyond. */
  #edge(shape: Shape, given: unknown): unknown {
    switch (shape.type) {
      case "string": {
        if (typeof given === "string" && this.#below(3) === 0) {
          const forged = forgedToken(given, this.#below(7), this.#one(HOSTILE));
          return forged === given ? given + this.#one([" ", "\n"]) : forged;
        }
        const [least, most] = shape.length ?? [1, 39];
        const length = this.#one([
          least - 1,
          least,
          Math.min(most, 3000),
          Math.min(most, 3000) + 1,
        ]);
        return this.#one(["1", "0", "a", " "]).repeat(length);
      }
      case "enum":
        return this.#one([...shape.values, shape.values[0]!.toLowerCase()]);
      case "integer":
        return this.#one([shape.range[0] - 1, shape.range[0], shape.range[1], shape.range[1] + 1]);
      case "boolean":
        return this.#below(2) === 0;
      case "blob":
        return Buffer.alloc(this.#one([0, 1, 2, 20_000]), CANARY);
      case "timestamp":
        return new Date(this.#one([-1, 0, 1.7e12, 8.64e15, 253402300799000]));
      case "list": {
        const entries = Array.isArray(given) && given.length > 0 ? given : [{}];
        const length = this.#one([shape.length[0] - 1, 3, shape.length[1], shape.length[1] + 1]);
        return Array.from({ length }, () => structuredClone(entries[0]) as unknown);
      }
      case "map":
        if (this.#below(2) === 0) return { [" ".repeat(this.#below(200))]: this.#one(HOSTILE) };
        return Object.fromEntries(
          Array.from({ length: shape.length[1] + this.#below(2) }, (_, n) => [`key-${n}`, "value"]),
        );
      case "structure":
        return {};
    }
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }
}
