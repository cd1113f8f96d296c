import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { startKinesalite, startKinesisLocal } from "@kc-internal/test-services";
import { Consumer, type ConsumerRecord, type Logger, type WireOption } from "@kc/core";
import { startEmulator } from "@kc/emulator";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

/**
 * The same stream read in CBOR, in JSON and by the SDK, from our own server and from two that
 * others wrote: the records must be the same, byte for byte. Those two speak CBOR with faults of
 * their own: they write data as text in base64, and one of them breaks long replies off.
 */
const SERVERS = {
  "our emulator over HTTP/2": { start: ours, handler: undefined, faulty: false },
  "our emulator over HTTP/1.1": { start: ours, handler: overHttp1, faulty: false },
  kinesalite: { start: startKinesalite, handler: overHttp1, faulty: true },
  "kinesis-local": { start: startKinesisLocal, handler: overHttp1, faulty: true },
} as const;

const FALLBACK = "the endpoint does not speak CBOR as Kinesis does: records are read as JSON";

/** Reported once for each client. */
const CONNECTS = "the Kinesis client opens a connection for each call";

const STREAM = "orders";
/** Every byte there is, text outside ASCII, nothing at all, and lengths around CBOR's limits. */
const DATA: readonly Uint8Array[] = [
  Uint8Array.from({ length: 256 }, (_, i) => i),
  Buffer.from("注文🦊"),
  Buffer.from(""),

  ...[1, 22, 23, 24, 255, 257, 65_535, 65_536, 100_000].map((length) => Buffer.alloc(length, 7)),
];

function overHttp1(): NodeHttpHandler {
  return new NodeHttpHandler();
}

async function ours(): Promise<AsyncDisposable & { readonly url: string }> {
  const emulator = await startEmulator({ quotas: false });
  return { url: emulator.url, [Symbol.asyncDispose]: () => emulator.close() };
}

describe.each(Object.keys(SERVERS) as (keyof typeof SERVERS)[])("%s", (name) => {
  const { start, faulty, handler: ownHandler } = SERVERS[name];
  let server: AsyncDisposable & { readonly url: string };

  const connect = (): KinesisClient =>
    new KinesisClient({
      endpoint: server.url,
      region: "us-east-1",
      credentials: { accessKeyId: "any", secretAccessKey: "any" },
      ...(ownHandler === undefined ? {} : { requestHandler: ownHandler() }),
    });

  beforeAll(async () => {
    server = await start();
    const client = connect();
    await client.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
    for (;;) {
      const { StreamDescriptionSummary } = await client.send(
        new DescribeStreamSummaryCommand({ StreamName: STREAM }),
      );
      if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") break;
    }
    await client.send(
      new PutRecordsCommand({
        StreamName: STREAM,
        Records: DATA.map((Data, i) => ({ Data, PartitionKey: `key-注文-${i}` })),
      }),
    );
    client.destroy();
  });

  afterAll(() => server[Symbol.asyncDispose]());

  const wires: readonly WireOption[] = faulty ? ["auto", "json"] : ["auto", "cbor", "json"];
  test.each(wires)("%s gives what the SDK gives", async (wire) => {
    const began = Date.now();
    const client = connect();
    onTestFinished(() => client.destroy());
    const { records, warnings } = await readAll(client, wire);
    expect(records.map(essence)).toEqual((await readAll(client, "sdk")).records.map(essence));
    expect(records.map(({ data }) => Buffer.from(data))).toEqual(
      DATA.map((data) => Buffer.from(data)),
    );
    for (const { approximateArrivalTimestamp } of records) {
      expect(Math.abs(approximateArrivalTimestamp.getTime() - began)).toBeLessThan(60_000);
    }
    expect(warnings).toEqual([
      ...(ownHandler === undefined ? [expect.stringContaining(CONNECTS)] : []),
      ...(faulty && wire === "auto" ? [FALLBACK] : []),
    ]);
  });
});

function essence({ data, ...rest }: ConsumerRecord): object {
  const { millisBehindLatest: _, ...record } = rest;
  return { ...record, data: Buffer.from(data).toString("base64") };
}

async function readAll(
  client: KinesisClient,
  wire: WireOption,
): Promise<{ records: ConsumerRecord[]; warnings: unknown[] }> {
  const records: ConsumerRecord[] = [];
  const warnings: unknown[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (message) => void (message.startsWith("no store") || warnings.push(message)),
    error: (message) => void warnings.push(message),
  };
  const consumer = new Consumer({ stream: STREAM, client, wire, logger, start: "TRIM_HORIZON" });
  const stop = new AbortController();
  await consumer.scan(
    (record) => {
      records.push(record);
      if (records.length === DATA.length) stop.abort();
    },
    { signal: stop.signal },
  );
  return { records, warnings };
}
