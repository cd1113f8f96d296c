import { createServer } from "node:http";
import { createRequire } from "node:module";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { decode, encode } from "cbor-x";
import { expect, onTestFinished, test } from "vitest";
import type { RecordsPage } from "../src/kinesis/records-page.ts";
import { Wire, type WireOption } from "../src/kinesis/wire/wire.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { systemClock } from "../src/index.ts";

/** The SDK's own modules, from where its client finds them. */
const sdk = createRequire(createRequire(import.meta.url).resolve("@aws-sdk/client-kinesis"));
const { SmithyRpcV2CborProtocol } = sdk("@smithy/core/cbor") as {
  readonly SmithyRpcV2CborProtocol: never;
};

const WIRES = ["auto", "cbor", "json"] as const;

interface Seen {
  readonly path: string;
  readonly type: string | undefined;
  readonly input: unknown;
}

/** GetRecords of a client that speaks RPC v2 CBOR, to a server that answers so. */
async function getRecords(
  option: WireOption,
  { status, reply }: { readonly status: number; readonly reply: unknown },
): Promise<{ readonly seen: readonly Seen[]; readonly page: Promise<RecordsPage> }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const type = request.headers["content-type"];
      seen.push({ path: request.url!, type, input: decode(Buffer.concat(chunks)) });
      const headers = { "content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor" };
      response.writeHead(status, headers).end(encode(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
    protocol: SmithyRpcV2CborProtocol,
  });
  onTestFinished(() => client.destroy());
  const telemetry = new Telemetry({}, { stream: "orders", application: "billing" }, systemClock);
  const page = new Wire(option, telemetry).getRecords(
    { ShardIterator: "first", Limit: 10 },
    (command) => client.send(command),
    () => {},
  );
  return { seen, page };
}

test.each(WIRES)(
  "a client that speaks another protocol is left alone, with wire %s",
  async (option) => {
    const record = { SequenceNumber: "49", Data: Buffer.from("1"), PartitionKey: "a" };
    const reply = { Records: [record], NextShardIterator: "next", MillisBehindLatest: 7 };
    const { seen, page: pending } = await getRecords(option, { status: 200, reply });
    const page = await pending;

    expect(page).toMatchObject({ nextShardIterator: "next", millisBehindLatest: 7 });
    expect(page.records.record(0, "shard", 0).text()).toBe("1");
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      path: expect.stringContaining("/operation/GetRecords"),
      type: "application/cbor",
      input: { ShardIterator: "first", Limit: 10 },
    });
  },
);

test.each(WIRES)(
  "an error in another protocol is the SDK's to read, with wire %s",
  async (option) => {
    const reply = {
      __type: "com.amazonaws.kinesis#ExpiredIteratorException",
      message: "Iterator expired.",
    };
    const { page } = await getRecords(option, { status: 400, reply });
    await expect(page).rejects.toMatchObject({
      name: "ExpiredIteratorException",
      message: "Iterator expired.",
    });
  },
);
