import type {
  _Record as Record,
  ListShardsOutput,
  ListStreamsOutput,
} from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Output, OperationName } from "../../src/api/operation-types.ts";
import { sdkValues } from "../../src/api/read-input.ts";
import { Link } from "../../src/link.ts";
import type { Service } from "../../src/service.ts";

interface Written {
  readonly number: string;
  /** A stream may do without keys. */
  readonly key: unknown;
  readonly data: string;
}

/** Small data may be in a piece of memory that Node shares: 8 KiB, and 64 KiB from Node 24 on. */
const SHARED_MEMORY = Buffer.poolSize;

/** What was put and accepted, by stream and shard: what can be read is this, and nothing else. */
export class Ledger {
  readonly #streams = new Map<string, Map<string, Written[]>>();

  put(stream: string, shardId: string, number: string, key: unknown, data: unknown): void {
    const shards = this.#streams.get(stream) ?? new Map<string, Written[]>();
    this.#streams.set(stream, shards);
    const records = shards.get(shardId) ?? [];
    shards.set(shardId, records);
    const before = records.at(-1)?.number ?? "0";
    expect(BigInt(number), "sequence numbers grow").toBeGreaterThan(BigInt(before));
    records.push({ number, key, data: hex(data) });
  }

  delete(stream: string): void {
    this.#streams.delete(stream);
  }

  /** What a shard holds from its n-th record on, counted from 1. */
  read(stream: string, shardId: string, from: number, limit: number): readonly Written[] {
    const records = this.#streams.get(stream)?.get(shardId) ?? [];
    return records.slice(Math.max(from, 1) - 1).slice(0, limit);
  }

  /** Reads every stream to its end: the ledger's records come, each in memory of its own size. */
  async compare(service: Service): Promise<void> {
    const link = new Link(service.clock, {});
    const ask = <Name extends OperationName>(name: Name, input: object): Promise<Output<Name>> =>
      service.handle(name, input, { link, values: sdkValues, signal: undefined });
    const { StreamNames = [] }: ListStreamsOutput = await ask("ListStreams", {});
    let found = 0;
    for (const StreamName of StreamNames) {
      const { Shards = [] }: ListShardsOutput = await ask("ListShards", { StreamName });
      for (const { ShardId } of Shards) {
        const at = { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" };
        let { ShardIterator } = await ask("GetShardIterator", at);
        const records: Record[] = [];
        while (ShardIterator !== undefined) {
          const page: Output<"GetRecords"> = await ask("GetRecords", { ShardIterator });
          records.push(...page.Records!);
          ShardIterator = page.MillisBehindLatest === 0 ? undefined : page.NextShardIterator;
        }
        expect(records.map(asWritten)).toEqual(this.read(StreamName, ShardId!, 1, Infinity));
        for (const { Data } of records) {
          expect(Data!.buffer.byteLength).toBeLessThanOrEqual(Data!.length + SHARED_MEMORY);
        }
        found += records.length;
      }
    }
    const lists = [...this.#streams.values()].flatMap((shards) => [...shards.values()]);
    expect(found, "records that can be read").toBe(lists.flat().length);
  }
}

export function asWritten(record: Record): Written {
  return { number: record.SequenceNumber!, key: record.PartitionKey, data: hex(record.Data) };
}

function hex(data: unknown): string {
  return Buffer.from(data as Uint8Array).toString("hex");
}
