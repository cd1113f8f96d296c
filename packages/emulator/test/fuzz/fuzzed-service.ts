import type { _Record as Record } from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import { readInput } from "../../src/api/read-input.ts";
import type { OperationName } from "../../src/api/operation-types.ts";
import { answer } from "../../src/http/answer.ts";
import { cborProtocol } from "../../src/http/cbor-protocol.ts";
import { jsonProtocol } from "../../src/http/json-protocol.ts";
import type { Protocol } from "../../src/http/protocol.ts";
import { FakeClock } from "../../src/index.ts";
import { Link } from "../../src/link.ts";
import { Service } from "../../src/service.ts";
import { asWritten, Ledger } from "./ledger.ts";
import { judge, type Judgement } from "./oracle.ts";
import { CANARY } from "./requests.ts";
import { tokenFields, tokenRequests } from "./tokens.ts";
import { WIRES, type TestWire } from "./wires.ts";

type Structure = Readonly<globalThis.Record<string, unknown>>;

/** A stream with more shards than this is not made: that takes time and shows nothing. */
const MAX_SHARDS = 50;
/** What the log of calls may keep of a request, tags included, and of each record, in characters. */
const MAX_LOGGED = 90_000;
const MAX_LOGGED_OF_RECORD = 2000;
const MAX_QUOTED = 2000;

/** What operations refuse by themselves, once a request is sound. */
const OWN_REFUSALS =
  /^(LimitExceeded|InvalidArgument|ResourceNotFound|ResourceInUse|DryRunOperation|ExpiredIterator|ExpiredNextToken)Exception$/;

/** An emulator without its connections: every request is held against the model, every reply too. */
export class FuzzedService {
  readonly wire: TestWire;
  readonly tokens: readonly (readonly [OperationName, Structure])[];
  readonly #protocol: Protocol;
  readonly #service: Service;
  readonly #link: Link;
  readonly #ledger = new Ledger();

  constructor(name: keyof typeof WIRES) {
    this.wire = WIRES[name];
    this.#protocol = name === "json" ? jsonProtocol : cborProtocol;
    const clock = new FakeClock();
    this.#service = new Service({ clock, streams: { s: 2, u: 1 }, quotas: false });
    this.#link = new Link(clock, {});
    this.tokens = tokenRequests(this.#service.now());
  }

  /** "carried out", or how it was to be refused. */
  async send(operation: OperationName, body: Buffer): Promise<string> {
    const judgement = this.#judge(operation, body);
    if (judgement.verdict === "allowed") {
      if (Number(judgement.input["ShardCount"] ?? 0) > MAX_SHARDS) return "allowed";
    }
    const { contentType } = this.wire;
    const request = { method: "POST", contentType, target: `Kinesis_20131202.${operation}`, body };
    const reply = await answer(this.#service, this.#link, request, undefined);
    const members = this.wire.decode(reply.body) as Structure;
    this.#checkLog();
    if (reply.status === 200) {
      this.#carriedOut(operation, judgement, members);
      return "carried out";
    }
    expect(reply.status).toBe(400);
    this.#refused(judgement, String(members["__type"]), String(members["message"]), body);
    return judgement.verdict;
  }

  /** What can be read at last is what was accepted. */
  compare(): Promise<void> {
    return this.#ledger.compare(this.#service);
  }

  /** By the table of constraints; what the emulator reads out of an allowed request is the same. */
  #judge(operation: OperationName, body: Buffer): Judgement {
    let request: unknown;
    try {
      request = this.#protocol.decode(body);
    } catch {
      return { verdict: "SerializationException" };
    }
    const judgement = judge(operation, request, this.wire);
    if (judgement.verdict === "allowed") {
      const read = readInput(operation, request, this.#protocol.values);
      expect(plain(read)).toStrictEqual(plain(judgement.input));
    }
    return judgement;
  }

  #carriedOut(operation: OperationName, judgement: Judgement, reply: Structure): void {
    if (judgement.verdict !== "allowed") {
      throw new Error(`carried out, but the model has ${judgement.verdict}`);
    }
    const { input } = judgement;
    expect(input["DryRun"] ?? false, "a dry run changes nothing").toBe(false);
    const stream = streamOf(input);
    const fields = tokenFields(operation, input);
    expect(fields, "a token that nobody issued").not.toBe("forged");
    if (operation === "DeleteStream") this.#ledger.delete(stream);
    if (operation === "PutRecord") this.#put(stream, [input], [reply]);
    if (operation === "PutRecords") {
      this.#put(stream, input["Records"] as Structure[], reply["Records"] as Structure[]);
    }
    if (operation === "GetRecords") {
      const [from, , shardId, position, emptyPages] = fields as IteratorFields;
      const limit = Number(input["Limit"] ?? 10_000);
      const records = (reply["Records"] as Record[]).map((record) =>
        asWritten({ ...record, Data: this.wire.blobOf(record.Data)! }),
      );
      const isHeldBack = emptyPages > 0;
      expect(records).toEqual(isHeldBack ? [] : this.#ledger.read(from, shardId, position, limit));
    }
  }

  #put(stream: string, records: readonly Structure[], results: readonly Structure[]): void {
    expect(results).toHaveLength(records.length);
    for (const [i, { ShardId, SequenceNumber }] of results.entries()) {
      const { PartitionKey, Data } = records[i]!;
      this.#ledger.put(stream, String(ShardId), String(SequenceNumber), PartitionKey, Data);
    }
  }

  #refused(judgement: Judgement, type: string, message: string, body: Buffer): void {
    if (judgement.verdict === "allowed") {
      // Whether a record needs a key depends on its stream.
      const isKeyless = message.includes("Value null at 'partitionKey'");
      if (!isKeyless) expect(type).toMatch(OWN_REFUSALS);
    }
    if (judgement.verdict !== "allowed") expect(type).toBe(judgement.verdict);
    const rules = judgement.verdict === "ValidationException" ? judgement.broken : [];
    if (rules.length > 0) {
      const errors = `${rules.length} validation error${rules.length === 1 ? "" : "s"} detected: `;
      expect(message.startsWith(errors), message).toBe(true);
      for (const at of rules) expect(message).toContain(`at '${at}' failed to satisfy constraint`);
    }
    expect(message.length).toBeLessThan(MAX_QUOTED * (1 + rules.length));
    // A mutation may have moved a piece of the data to where it is quoted.
    if (message.includes(CANARY))
      expect(withoutData(this.#protocol.decode(body))).toContain(CANARY);
  }

  #checkLog(): void {
    const input = this.#service.calls.entries.at(-1)?.input ?? {};
    const records = Array.isArray(input["Records"]) ? input["Records"].length : 0;
    expect(JSON.stringify(input).length).toBeLessThan(MAX_LOGGED + MAX_LOGGED_OF_RECORD * records);
  }
}

/** Of an iterator: the stream, its incarnation, the shard, the next record, and the empty pages before it. */
type IteratorFields = readonly [string, number, string, number, number];

function streamOf({ StreamName, StreamARN }: Structure): string {
  const arn = String(StreamARN);
  return typeof StreamName === "string" ? StreamName : arn.slice(arn.indexOf("/") + 1);
}

/** Times in milliseconds and bytes as text, whatever class they are of. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.getTime();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}

function withoutData(request: unknown): string {
  return JSON.stringify(request, (name, value: unknown) => (name === "Data" ? undefined : value));
}
