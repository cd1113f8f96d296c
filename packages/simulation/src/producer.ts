import { createHash } from "node:crypto";
import { PutRecordCommand, type PutRecordCommandInput } from "@aws-sdk/client-kinesis";
import { aggregate, type UserRecord } from "@kc/aggregator";
import type { FakeClock, FakeKinesis } from "@kc/emulator";
import type { AggregatePlan } from "./aggregate-plan.ts";
import { headOf, type NewRecord, type Puts } from "./puts.ts";
import type { Random } from "./random.ts";

const KEYS = Array.from({ length: 12 }, (_, index) => `k${index}`);
const MIB = 1024 * 1024;
/**
 * The approximate number of user records in a story, limited because handlers take time for each.
 */
const MAX_USER_RECORDS = 200;

export interface ProducerOptions {
  readonly streamName: string;
  readonly kinesis: FakeKinesis;
  readonly clock: FakeClock;
  readonly puts: Puts;
  readonly random: Random;
  /** The number of large records, of up to 10 MiB. */
  readonly largeRecords: number;
  /** `undefined`: it puts only ordinary records. */
  readonly plan: AggregatePlan | undefined;
  /** The source of randomness for aggregates. */
  readonly aggregateRandom: Random;
}

/** Data that does not decode. The data of a damaged aggregate may look like anything. */
const UNDECODABLE = /^\w+:\d+;!$/;

/** The id in a record's data. @throws Error if it does not decode */
export function decodeId({ data }: { readonly data: Uint8Array }): string {
  const head = headOf(data);
  if (UNDECODABLE.test(head)) throw new Error("the simulated decoder");
  return head.split(";", 1)[0]!;
}

/** A user record and the shard in which it was put, correctly or not. */
interface Placed extends UserRecord {
  readonly id: string;
  readonly isStray: boolean;
  readonly isUndecodable: boolean;
  /**
   * True if it is in the shard of its key's other records, so that its key is ordered over all
   * shards.
   */
  readonly isAtHome: boolean;
}

/** Puts the records of a story: ordinary ones, and aggregates. */
export class Producer {
  /** The number of stream records that were put. */
  records = 0;
  readonly #options: ProducerOptions;
  #largeRecords: number;
  #userRecords = 0;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#largeRecords = options.largeRecords;
  }

  /** Puts ordinary records, and sometimes an aggregate. */
  async put(count: number): Promise<void> {
    const { plan, aggregateRandom } = this.#options;
    /** The current shards of keys. */
    const places = new Map<string, string>();
    for (let n = 0; n < count; n += 1) await this.#putOne(places);
    if (plan === undefined || this.#userRecords >= MAX_USER_RECORDS) return;
    if (aggregateRandom.chance(plan.share)) await this.#putAggregate(plan, places);
  }

  async #putOne(places: Map<string, string>): Promise<void> {
    const { puts, random, plan, aggregateRandom } = this.#options;
    const key = random.pick(KEYS);
    const id = puts.nextId(key);
    const data = dataOf(id, this.#nextSize());
    const isKeyless = plan?.isKeyless === true;
    const partitionKey = isKeyless && aggregateRandom.chance(0.5) ? undefined : key;
    const at = await this.#send({ PartitionKey: partitionKey, Data: data });
    const own = isKeyless ? keyIn(at.shardId, partitionKey, id) : key;
    this.#add({ id, key: own, partitionKey, data, ...at });
    places.set(key, at.shardId);
  }

  async #putAggregate(plan: AggregatePlan, places: ReadonlyMap<string, string>): Promise<void> {
    const { puts, aggregateRandom: random } = this.#options;
    const [key, shardId] = random.pick([...places]);
    const records = this.#userRecordsFor(plan, places, shardId);
    this.#userRecords += records.length;
    const [packed] = aggregate(records, { maxBytes: 10 * MIB });
    const data = packed!.entry.Data!;
    const isDamaged = random.chance(plan.damaged);
    if (isDamaged) data[random.between(0, data.byteLength - 1)]! ^= 1;
    const at = await this.#send({ PartitionKey: key, Data: data });
    if (!plan.isKeyless && at.shardId !== shardId)
      throw new Error(`${key} is no key of ${shardId}`);
    if (isDamaged || plan.deaggregate === false) {
      const id = puts.nextId(key);
      const own = plan.isKeyless ? keyIn(at.shardId, key, id) : key;
      return this.#add({ id, key: own, partitionKey: key, data, ...at });
    }
    for (const [sub, record] of records.entries()) {
      const { id, partitionKey, explicitHashKey, isStray, isAtHome, isUndecodable } = record;
      this.#add({
        id,
        key: isAtHome ? partitionKey : keyIn(at.shardId, partitionKey, id),
        partitionKey,
        explicitHashKey,
        data: record.data,
        shardId: at.shardId,
        position: { ...at.position, subSequenceNumber: sub },
        mayBeLeftOut: isStray && plan.deaggregate === true,
        isUndecodable,
      });
    }
  }

  /** Most of them are of one shard. */
  #userRecordsFor(
    plan: AggregatePlan,
    places: ReadonlyMap<string, string>,
    shardId: string,
  ): readonly Placed[] {
    const { puts, aggregateRandom: random } = this.#options;
    const keys = [...places.keys()];
    const here = plan.isKeyless ? keys : keys.filter((key) => places.get(key) === shardId);
    const elsewhere = plan.isKeyless ? [] : keys.filter((key) => places.get(key) !== shardId);
    return Array.from({ length: random.between(2, plan.mostRecords) }, () => {
      const isStray = elsewhere.length > 0 && random.chance(plan.strays);
      // The hash key decides the shard, whatever the partition key is.
      const place = random.pick(isStray ? elsewhere : here);
      const hasHashKey = random.chance(plan.hashKeys);
      const partitionKey = hasHashKey ? random.pick(KEYS) : place;
      const id = puts.nextId(partitionKey);
      const explicitHashKey = hasHashKey ? { explicitHashKey: hashKeyOf(place) } : {};
      const isAtHome = !isStray && !hasHashKey && !plan.isKeyless;
      const isUndecodable = random.chance(plan.undecodable ?? 0);
      const data = isUndecodable ? Buffer.from(`${id};!`) : dataOf(id, 0);
      return { id, partitionKey, data, ...explicitHashKey, isStray, isAtHome, isUndecodable };
    });
  }

  async #send(
    record: Pick<PutRecordCommandInput, "PartitionKey" | "Data">,
  ): Promise<Pick<NewRecord, "shardId" | "position">> {
    const { kinesis, streamName } = this.#options;
    const { ShardId, SequenceNumber } = await kinesis.send(
      new PutRecordCommand({ StreamName: streamName, ...record }),
    );
    this.records += 1;
    return { shardId: ShardId!, position: { sequenceNumber: SequenceNumber! } };
  }

  #add(record: Omit<NewRecord, "arrivedAt">): void {
    this.#options.puts.add({ ...record, arrivedAt: this.#options.clock.now() });
  }

  #nextSize(): number {
    const { random } = this.#options;
    if (this.#largeRecords === 0 || !random.chance(0.1)) return 0;
    this.#largeRecords -= 1;
    return random.between(1, 10) * MIB - 1000;
  }
}

/** Such a key is ordered within its shard only, because its other records may be elsewhere. */
function keyIn(shardId: string, partitionKey: string | undefined, id: string): string {
  return partitionKey === undefined ? id : `${partitionKey} in ${shardId}`;
}

function hashKeyOf(partitionKey: string): string {
  return String(BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`));
}

/** A record's data: its id, padded to this size. */
function dataOf(id: string, bytes: number): Uint8Array {
  const head = Buffer.from(`${id};`);
  const data = new Uint8Array(Math.max(bytes, head.length));
  data.set(head);
  return data;
}
