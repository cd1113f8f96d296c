/** A user's first file for each package, checked against the declarations that are published. */
import { Aggregator } from "@kc/aggregator";
import { storeConformance } from "@kc/conformance";
import {
  Consumer,
  MemoryStore,
  type ConsumerRecord,
  type Counter,
  type DeadLetterQueue,
  type Store,
} from "@kc/core";
import { CloudWatchCounter } from "@kc/counter-cloudwatch";
import { OpenTelemetryCounter, OpenTelemetryTracing } from "@kc/counter-opentelemetry";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { StatsdCounter } from "@kc/counter-statsd";
import { KinesisDeadLetterQueue } from "@kc/dead-letter-kinesis";
import { S3DeadLetterQueue } from "@kc/dead-letter-s3";
import { SqsDeadLetterQueue } from "@kc/dead-letter-sqs";
import { FakeClock, FakeKinesis, startEmulator, type Emulator } from "@kc/emulator";
import { toLambdaHandler, type LambdaHandler } from "@kc/lambda";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";

export const clock: FakeClock = new FakeClock();
export const client: FakeKinesis = new FakeKinesis({ clock });
export const stores: readonly Store[] = [
  new MemoryStore(),
  new SqliteStore({ path: "checkpoints.sqlite" }),
  new DynamoDBStore({ table: "kinesis-checkpoints" }),
  new MysqlStore({ connection: "mysql://localhost/app" }),
  new PostgresStore({ connection: "postgresql://localhost/app" }),
  new RedisStore({ connection: "redis://localhost:6379" }),
];
export const counters: readonly Counter[] = [
  new CloudWatchCounter(),
  new OpenTelemetryCounter(),
  new PrometheusCounter(),
  new StatsdCounter(),
];
export const queues: readonly DeadLetterQueue[] = [
  new SqsDeadLetterQueue({
    queueUrl: "https://sqs.eu-west-1.amazonaws.com/111122223333/orders-dead",
  }),
  new KinesisDeadLetterQueue({ stream: "orders-dead" }),
  new S3DeadLetterQueue({ bucket: "acme-dead-letters" }),
];
export const tracing: OpenTelemetryTracing = new OpenTelemetryTracing();
export const consumers: readonly Consumer[] = stores.map(
  (store) => new Consumer({ stream: "orders", application: "billing", store, client, clock }),
);
export const emulator: () => Promise<Emulator> = () => startEmulator();
export const total = (record: ConsumerRecord): number => record.json<{ total: number }>().total;
export const lambda: LambdaHandler = toLambdaHandler(total, { concurrency: 10 });
export const aggregator: Aggregator = new Aggregator({ client, stream: "orders" });
export const suite: typeof storeConformance = storeConformance;
