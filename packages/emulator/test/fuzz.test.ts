import { KinesisServiceException } from "@aws-sdk/client-kinesis";
import { mutated, seeded } from "@kc-internal/test-services";
import { Encoder } from "cbor-x";
import { expect, test } from "vitest";
import { FakeClock } from "../src/index.ts";
import { cborProtocol } from "../src/http/cbor-protocol.ts";
import { jsonProtocol } from "../src/http/json-protocol.ts";
import { Link } from "../src/link.ts";
import { Service } from "../src/service.ts";
import type { OperationName } from "../src/api/operation-types.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const DATA = Buffer.from("a record's data");

const REQUESTS: readonly (readonly [OperationName, Readonly<Record<string, unknown>>])[] = [
  ["CreateStream", { StreamName: "t", ShardCount: 2 }],
  ["DescribeStreamSummary", { StreamName: "s" }],
  ["ListShards", { StreamName: "s", MaxResults: 3, ShardFilter: { Type: "AT_LATEST" } }],
  ["PutRecord", { StreamName: "s", PartitionKey: "k", Data: DATA, ExplicitHashKey: "7" }],
  [
    "PutRecords",
    {
      StreamName: "s",
      Records: [
        { Data: DATA, PartitionKey: "k" },
        { Data: DATA, PartitionKey: "l" },
      ],
    },
  ],
  [
    "GetShardIterator",
    {
      StreamName: "s",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "AT_TIMESTAMP",
      Timestamp: 1e9,
    },
  ],
  ["GetRecords", { ShardIterator: "AAAAAAAAAAE", Limit: 10 }],
  [
    "SplitShard",
    { StreamName: "s", ShardToSplit: "shardId-000000000000", NewStartingHashKey: "9" },
  ],
];

test.each(["json", "cbor"] as const)(
  "mutated requests in %s are carried out, or refused by an error of the service",
  async (name) => {
    const protocol = name === "json" ? jsonProtocol : cborProtocol;
    const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
    const encode = (input: object): Uint8Array =>
      name === "cbor" ? encoder.encode(input) : Buffer.from(jsonProtocol.encode(input));
    const messages = REQUESTS.map(([operation, input]) => [operation, encode(input)] as const);
    const bodies = messages.map(([, body]) => body);
    const random = seeded(SEED);
    const clock = new FakeClock();
    const service = new Service({
      clock,
      streams: { s: 2 },
      quotas: { reads: false, writes: false },
    });
    const link = new Link(clock, {});
    let carriedOut = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const [operation, message] = messages[Math.floor(random() * messages.length)]!;
      const body = Buffer.from(mutated(message, bodies, random));
      let input: unknown;
      try {
        input = protocol.decode(body);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        continue;
      }
      try {
        const caller = { link, values: protocol.values, signal: undefined };
        protocol.encode(await service.handle(operation, input, caller));
        carriedOut += 1;
      } catch (error) {
        if (error instanceof KinesisServiceException) continue;
        throw new Error(
          `FUZZ_SEED=${SEED}, run ${run}: ${operation} of ${body.toString("base64")}`,
          {
            cause: error,
          },
        );
      }
    }
    expect(carriedOut).toBeGreaterThan(RUNS / 100);
  },
);
