import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import {
  Consumer,
  KcError,
  MemoryStore,
  StoreError,
  type Counter,
  type KinesisClientLike,
} from "../../src/index.ts";

/** In every record's data and partition key, and on the errors of clients, drivers and handlers. */
export const CANARY = "canary-71c4";

/** As text, and in the encodings in which bytes are written. */
export const ENCODED_CANARIES: readonly string[] = [
  CANARY,
  ...(["base64url", "hex"] as const).map((encoding) => Buffer.from(CANARY).toString(encoding)),
  encodeURIComponent(CANARY),
];

/** A store whose driver keeps the command, and so its credentials, on its errors, as some do. */
class LeakingStore extends MemoryStore {
  override setCheckpoints(): never {
    const cause = Object.assign(new Error("NOAUTH"), { command: { args: [CANARY] } });
    throw new StoreError("STORE_UNAVAILABLE", "no answer", { retryable: true, cause });
  }
}

/** The first GetRecords fails with an error that has the request, its credentials and the reply on it. */
function leakingClient(kinesis: FakeKinesis): KinesisClientLike {
  let hasFailed = false;
  return {
    send: (async (command: object, ...others: readonly unknown[]) => {
      if (command.constructor.name === "GetRecordsCommand" && !hasFailed) {
        hasFailed = true;
        throw Object.assign(new Error("reset"), {
          name: "TimeoutError",
          config: { credentials: CANARY },
          $response: { body: CANARY },
        });
      }
      return (kinesis.send as (...given: readonly unknown[]) => Promise<unknown>)(
        command,
        ...others,
      );
    }) as KinesisClientLike["send"],
  };
}

/**
 * Reads two records of which the second one's handler quotes its data in what it throws, by a client and
 * with a store whose errors have credentials on them. Resolves once the scan has failed by the handler.
 */
export async function scanWithCanaries(counter: Counter): Promise<void> {
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  for (const card of ["first", "second"]) {
    const Data = Buffer.from(`{"${card}":"${CANARY}"`);
    await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: CANARY, Data }));
  }
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    client: leakingClient(kinesis),
    store: new LeakingStore(),
    counter,
    start: "TRIM_HORIZON",
    drainTimeoutMs: 100,
  });
  let handled = 0;
  try {
    await consumer.scan(async ({ data }) => {
      if ((handled += 1) === 1) return;
      const text = Buffer.from(data).toString();
      throw new Error(`no card: ${text}`, { cause: new TypeError(text) });
    });
  } catch (error) {
    if (KcError.is(error) && error.code === "HANDLER_FAILED") return;
    throw error;
  }
  throw new Error("the handler was to fail");
}
