import { setTimeout as sleep } from "node:timers/promises";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import type { Emulator } from "@kc/emulator";
import { add, type Balance, type Balances, type Order } from "./balances.ts";

const ACCOUNTS = 100;
const encoder = new TextEncoder();

/** Puts about 1,000 orders a second until it is stopped, and adds up the accepted ones. */
export class Feed {
  readonly #balances = new Map<string, Balance>();
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  constructor(kinesis: Emulator["kinesis"], stream: string) {
    this.#done = this.#run(kinesis, stream);
  }

  get balances(): Balances {
    return this.#balances;
  }

  /** Stops; resolves when no put is running. @throws the error that ended the feed earlier */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(kinesis: Emulator["kinesis"], stream: string): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const orders = Array.from({ length: 50 }, (): Order => {
        const account = `account-${Math.floor(Math.random() * ACCOUNTS)}`;
        return { account, cents: 1 + Math.floor(Math.random() * 10_000) };
      });
      const Records = orders.map((order) => ({
        PartitionKey: order.account,
        Data: encoder.encode(JSON.stringify(order)),
      }));
      const answer = await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
      for (const [index, { SequenceNumber }] of (answer.Records ?? []).entries()) {
        if (SequenceNumber) add(this.#balances, orders[index]!);
      }
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }
}
