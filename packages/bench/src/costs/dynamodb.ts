import { DynamoDBClient, type ConsumedCapacity } from "@aws-sdk/client-dynamodb";
import { DynamoDBStore } from "@kc/store-dynamodb";
import type { Subject } from "./subject.ts";

const WRITES = /^(?:Update|Put|Delete|TransactWrite)Items?Command$/;
/** Assumed prices in US dollars per million units: look up your Region's. */
const WRITE_PRICE = 0.625;
const READ_PRICE = 0.125;
const MONTH_SECONDS = 30 * 24 * 3600;
const HEARTBEAT_SECONDS = 1;
/** The number of heartbeats between listings of all leases in a group without changes. */
const HEARTBEATS_A_LISTING = 300;

/** Units as the service counts them, requested in each call. */
export function dynamodb(endpoint: string): Subject {
  const counted = { requests: 0, writeUnits: 0, readUnits: 0 };
  const connect = (at: string): DynamoDBClient => {
    const client = new DynamoDBClient({
      endpoint: at,
      region: "us-east-1",
      credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
    });
    client.middlewareStack.add(
      (next, context) => async (args) => {
        const name = String(context.commandName);
        const input = { ...args.input, ReturnConsumedCapacity: "TOTAL" } as typeof args.input;
        const answer = await next({ ...args, input });
        const { ConsumedCapacity: all } = answer.output as unknown as {
          ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[];
        };
        counted.requests += 1;
        const kind = WRITES.test(name) ? "writeUnits" : "readUnits";
        for (const { CapacityUnits = 0 } of [all ?? []].flat()) counted[kind] += CapacityUnits;
        return answer;
      },
      { step: "initialize", name: "units" },
    );
    return client;
  };
  return {
    url: endpoint,
    open: (at) => new DynamoDBStore({ client: connect(at!), table: "costs" }),
    meter: async () => ({ ...counted }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

export interface Units {
  readonly writeUnits: number;
  readonly readUnits: number;
}

/**
 * The cost of a group whose shards all have records, for 30 days, from the units of single calls.
 */
export function monthOf(
  { shards, workers, flushSeconds }: { shards: number; workers: number; flushSeconds: number },
  units: { readonly shardFlush: Units; readonly heartbeatAndLook: Units; readonly listing: Units },
): object {
  const price = (calls: number, { writeUnits, readUnits }: Units): number =>
    (calls * (writeUnits * WRITE_PRICE + readUnits * READ_PRICE)) / 1_000_000;
  const beats = (workers * MONTH_SECONDS) / HEARTBEAT_SECONDS;
  const parts = {
    flushes: price((shards * MONTH_SECONDS) / flushSeconds, units.shardFlush),
    heartbeats: price(beats, units.heartbeatAndLook),
    listings: price(beats / HEARTBEATS_A_LISTING, units.listing),
  };
  const total = parts.flushes + parts.heartbeats + parts.listings;
  const usd = Object.fromEntries(
    Object.entries({ ...parts, total }).map(([name, value]) => [name, Number(value.toFixed(2))]),
  );
  return { ...usd, listingsShare: Number((parts.listings / total).toFixed(3)) };
}
