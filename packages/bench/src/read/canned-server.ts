/**
 * A server in a separate process, so that its CPU is counted separately. Each shard returns a fixed
 * number of pre-encoded pages and is then empty, so that every contestant has the same work.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createSecureServer,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import type { TLSSocket } from "node:tls";
import { aggregate } from "@kc/aggregator";
import { Encoder, Tag } from "cbor-x";

export interface CannedPages {
  readonly shards: number;
  /** Per shard; 0: the shards are idle; Infinity: pages without end. */
  readonly pages: number;
  /** Per page. */
  readonly records: number;
  readonly bytes: number;
  /** If set, each record is a KPL aggregate of this many user records. */
  readonly aggregated?: number;
  /** How many different keys the user records of a page have, in turn. @default 100 */
  readonly keys?: number;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Uses HTTP/2 only. */
  readonly http2?: boolean;
}

/** The server's counts since its start. */
export interface ServerCounts {
  readonly polls: number;
  readonly connections: number;
  /** Connections that resumed an earlier TLS session. */
  readonly resumed: number;
}

const JSON_TYPE = "application/x-amz-json-1.1";
const CBOR_TYPE = "application/x-amz-cbor-1.1";

const pages = JSON.parse(process.argv[2]!) as CannedPages;
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const arrival = Date.now();
const records = Array.from({ length: pages.records }, (_, i) => ({
  Data: pages.aggregated === undefined ? Buffer.alloc(pages.bytes, i) : aggregated(i),
  PartitionKey: `key-${i % 100}`,
}));
function aggregated(index: number): Uint8Array {
  const inside = Array.from({ length: pages.aggregated! }, (_, i) => ({
    partitionKey: `key-${(index * pages.aggregated! + i) % (pages.keys ?? 100)}`,
    data: Buffer.alloc(pages.bytes, i),
  }));
  const [packed] = aggregate(inside, { maxBytes: 2 ** 20 });
  return packed!.entry.Data!;
}

/** `null` means Infinity, which JSON cannot represent. */
const endless = pages.pages === null;
/** By the number of pages that were read before, with which an iterator begins. */
const bodies = Array.from({ length: endless ? 1 : pages.pages + 1 }, (_, page) =>
  encode(
    page,
    endless || page < pages.pages ? records : [],
    endless ? 0 : Math.min(page + 1, pages.pages),
    endless || page + 1 < pages.pages,
  ),
);

/** They ascend from page to page. */
function sequenceNumber(page: number, index: number): string {
  return `496805206075178124583704862854516126192306${String(page * pages.records + index).padStart(14, "0")}`;
}

function iterator(page: number): string {
  return `${page}-${"A".repeat(200)}`;
}

function encode(
  page: number,
  contents: typeof records,
  next: number,
  behind: boolean,
): Readonly<Record<string, Uint8Array>> {
  const numbered = contents.map((record, index) => ({
    SequenceNumber: sequenceNumber(page, index),
    ...record,
  }));
  const reply = {
    NextShardIterator: iterator(next),
    MillisBehindLatest: behind ? 60_000 : 0,
  };
  return {
    [JSON_TYPE]: Buffer.from(
      JSON.stringify({
        ...reply,
        Records: numbered.map((record) => ({
          ...record,
          Data: record.Data.toString("base64"),
          ApproximateArrivalTimestamp: arrival / 1000,
        })),
      }),
    ),
    [CBOR_TYPE]: Buffer.from(
      encoder.encode({
        ...reply,
        Records: numbered.map((record) => ({
          ...record,
          ApproximateArrivalTimestamp: new Tag(arrival, 1),
        })),
      }),
    ),
  };
}

const shardIds = Array.from({ length: pages.shards }, (_, i) => shardId(i));
const OTHERS: Readonly<Record<string, object>> = {
  DescribeStreamSummary: {
    StreamDescriptionSummary: {
      StreamName: "bench",
      StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/bench",
      StreamStatus: "ACTIVE",
      RetentionPeriodHours: 24,
      StreamCreationTimestamp: 1_700_000_000,
      EnhancedMonitoring: [],
      OpenShardCount: pages.shards,
    },
  },
  DescribeStream: {
    StreamDescription: {
      StreamName: "bench",
      StreamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/bench",
      StreamStatus: "ACTIVE",
      Shards: shardIds.map(shard),
      HasMoreShards: false,
    },
  },
  ListShards: { Shards: shardIds.map(shard) },
  GetShardIterator: { ShardIterator: iterator(0) },
};
let polls = 0;
let connections = 0;
let resumed = 0;

function shardId(index: number): string {
  return `shardId-${String(index).padStart(12, "0")}`;
}

function shard(ShardId: string): object {
  return {
    ShardId,
    // All hash keys but one, so that each user record's key must be checked.
    HashKeyRange: { StartingHashKey: "0", EndingHashKey: `${2n ** 128n - 2n}` },
    SequenceNumberRange: { StartingSequenceNumber: "1" },
  };
}

function encoded(reply: object, type: string): Uint8Array {
  return type === CBOR_TYPE ? encoder.encode(reply) : Buffer.from(JSON.stringify(reply));
}

function answer(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  let sent = "";
  request.setEncoding("latin1");
  request.on("data", (chunk: string) => (sent += chunk));
  request.on("end", () => {
    const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    if (operation === "GetRecords") polls += 1;
    const type = request.headers["content-type"] ?? JSON_TYPE;
    const other = OTHERS[operation];
    const body =
      other === undefined
        ? bodies[Number(/(\d+)-A/.exec(sent)?.[1])]![type]!
        : encoded(other, type);
    response.writeHead(200, {
      "content-type": type,
      "content-length": Buffer.byteLength(body),
      "x-amzn-requestid": "00000000-0000-4000-8000-000000000000",
    });
    response.end(body);
  });
}

function listener(): Server {
  const { tls, http2 } = pages;
  if (http2) return tls ? createSecureServer(tls, answer) : createHttp2Server(answer);
  const keepAliveTimeout = 60_000;
  return tls
    ? createTlsServer({ ...tls, keepAliveTimeout }, answer)
    : createServer({ keepAliveTimeout }, answer);
}

const server = listener();
server.on(pages.tls ? "secureConnection" : "connection", (socket: Partial<TLSSocket>) => {
  connections += 1;
  if (socket.isSessionReused?.() === true) resumed += 1;
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `${pages.tls ? "https" : "http"}://127.0.0.1:${port}` });
});
process.on("message", () => process.send?.({ polls, connections, resumed } satisfies ServerCounts));
process.on("disconnect", () => process.exit());
