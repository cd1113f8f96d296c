import { Consumer, LeaseGroup, MemoryStore, stopSignal } from "@kc/core";
import { CloudWatchCounter } from "@kc/counter-cloudwatch";
import { OpenTelemetryCounter, OpenTelemetryTracing } from "@kc/counter-opentelemetry";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { StatsdCounter } from "@kc/counter-statsd";
import { KinesisDeadLetterQueue } from "@kc/dead-letter-kinesis";
import { S3DeadLetterQueue } from "@kc/dead-letter-s3";
import { SqsDeadLetterQueue } from "@kc/dead-letter-sqs";
import { FakeKinesis, startEmulator } from "@kc/emulator";
import { toLambdaBatchHandler, toLambdaHandler } from "@kc/lambda";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { expect, test } from "vitest";

type Make = (options: never) => unknown;

/** Everything that takes options, an option of another library or a misspelled one, and ours. */
const TAKERS: readonly (readonly [string, Make, wrong: string, meant: string])[] = [
  ["Consumer", (options) => new Consumer(options), "streamName", "stream"],
  ["LeaseGroup", (options) => new LeaseGroup(options), "leaseDuration", "leaseMs"],
  ["stopSignal", (options) => stopSignal(options), "signal", "signals"],
  ["MemoryStore", (options) => new MemoryStore(options), "dat", "data"],
  ["SqliteStore", (options) => new SqliteStore(options), "filename", "path"],
  ["PostgresStore", (options) => new PostgresStore(options), "connectionString", "connection"],
  ["MysqlStore", (options) => new MysqlStore(options), "tableName", "table"],
  ["RedisStore", (options) => new RedisStore(options), "url", "connection"],
  ["DynamoDBStore", (options) => new DynamoDBStore(options), "region", "client"],
  ["SqsDeadLetterQueue", (options) => new SqsDeadLetterQueue(options), "queueURL", "queueUrl"],
  [
    "KinesisDeadLetterQueue",
    (options) => new KinesisDeadLetterQueue(options),
    "streamName",
    "stream",
  ],
  ["S3DeadLetterQueue", (options) => new S3DeadLetterQueue(options), "bucketName", "bucket"],
  ["CloudWatchCounter", (options) => new CloudWatchCounter(options), "interval", "intervalMs"],
  ["OpenTelemetryCounter", (options) => new OpenTelemetryCounter(options), "pershard", "perShard"],
  [
    "OpenTelemetryTracing",
    (options) => new OpenTelemetryTracing(options),
    "tracer",
    "tracerProvider",
  ],
  ["PrometheusCounter", (options) => new PrometheusCounter(options), "register", "registry"],
  [
    "toLambdaHandler",
    (options) => toLambdaHandler(() => {}, options),
    "parallelizationFactor",
    "concurrency",
  ],
  [
    "toLambdaBatchHandler",
    (options) => toLambdaBatchHandler(() => {}, options),
    "batchSize",
    "maxRecords",
  ],
  ["StatsdCounter", (options) => new StatsdCounter(options), "hostname", "host"],
];

test.each(TAKERS)(
  "%s suggests an option in place of one that it does not have",
  (of, make, wrong, meant) => {
    expect(() => make({ [wrong]: 1 } as never)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        option: wrong,
        message: expect.stringContaining(`${of} has no such option; did you mean ${meant}`),
      }),
    );
  },
);

test.each(TAKERS)(
  "%s names its options where it is given none of them",
  (of, make, _wrong, meant) => {
    const refused = (given: unknown): void =>
      expect(() => make(given as never)).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID", option: "options" }),
      );
    refused(null);
    refused("orders");
    expect(() => make({ zzz: 1 } as never)).toThrow(
      new RegExp(`${of}.*its options are.*\\b${meant}\\b`),
    );
  },
);

test("a constructor without its needed options says what it takes", () => {
  const makes = [
    Consumer,
    SqliteStore,
    PostgresStore,
    MysqlStore,
    RedisStore,
    DynamoDBStore,
    SqsDeadLetterQueue,
    S3DeadLetterQueue,
    KinesisDeadLetterQueue,
  ];
  for (const Made of makes as unknown as readonly (new () => unknown)[]) {
    expect(() => new Made()).toThrow(/^options: \w+ takes an object, not undefined/);
  }
});

test("the emulator suggests an option in place of one that it does not have", async () => {
  const typo = { stream: { orders: 1 } } as never;
  expect(() => new FakeKinesis(typo)).toThrow(/Did you mean 'streams'\?$/);
  await expect(startEmulator(typo)).rejects.toThrow(/Did you mean 'streams'\?$/);
  expect(() => new FakeKinesis(null as never)).toThrow(/^FakeKinesis takes an object, not null/);
});
