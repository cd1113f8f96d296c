import { MemoryStore } from "@kc/core";
import { CloudWatchCounter } from "@kc/counter-cloudwatch";
import { OpenTelemetryTracing } from "@kc/counter-opentelemetry";
import { StatsdCounter } from "@kc/counter-statsd";
import { KinesisDeadLetterQueue } from "@kc/dead-letter-kinesis";
import { S3DeadLetterQueue } from "@kc/dead-letter-s3";
import { SqsDeadLetterQueue } from "@kc/dead-letter-sqs";
import { startEmulator } from "@kc/emulator";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { expect, test } from "vitest";

interface Closes {
  close(): void | Promise<void>;
}

const OPENED: Readonly<
  Record<
    string,
    () => (Closes & (AsyncDisposable | Disposable)) | Promise<Closes & AsyncDisposable>
  >
> = {
  MemoryStore: () => new MemoryStore(),
  SqliteStore: () => new SqliteStore({ path: "never-opened.sqlite" }),
  PostgresStore: () => new PostgresStore({ connection: "postgresql://localhost/app" }),
  MysqlStore: () => new MysqlStore({ connection: "mysql://localhost/app" }),
  RedisStore: () => new RedisStore({ connection: "redis://localhost:6379" }),
  DynamoDBStore: () => new DynamoDBStore({ table: "kinesis-checkpoints" }),
  SqsDeadLetterQueue: () =>
    new SqsDeadLetterQueue({
      queueUrl: "https://sqs.eu-west-1.amazonaws.com/111122223333/orders-dead",
    }),
  KinesisDeadLetterQueue: () => new KinesisDeadLetterQueue({ stream: "orders-dead" }),
  S3DeadLetterQueue: () => new S3DeadLetterQueue({ bucket: "acme-dead-letters" }),
  CloudWatchCounter: () => new CloudWatchCounter(),
  StatsdCounter: () => new StatsdCounter(),
  OpenTelemetryTracing: () => new OpenTelemetryTracing(),
  startEmulator: () => startEmulator(),
};

test.each(Object.entries(OPENED))(
  "what %s made is closed by close() or by using, again and again",
  async (_name, open) => {
    const opened = await open();
    const dispose = async (): Promise<void> =>
      Symbol.asyncDispose in opened
        ? await opened[Symbol.asyncDispose]()
        : opened[Symbol.dispose]();
    await opened.close();
    await dispose();
    await Promise.all([opened.close(), dispose()]);
    expect(await opened.close()).toBeUndefined();
  },
);
