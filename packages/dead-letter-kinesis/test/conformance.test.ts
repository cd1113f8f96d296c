import { deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { decodeDeadLetter } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { KinesisDeadLetterQueue } from "../src/index.ts";
import { recordsOf } from "./support/streams.ts";

/** What a letter's members take at most in this suite, beside its data. */
const BESIDE_DATA = 2048;

async function harness(): Promise<DeadLetterHarness> {
  const kinesis = new FakeKinesis({ streams: { letters: 2 }, quotas: false });
  const clients: FakeKinesis[] = [];
  return {
    keepsRepeats: true,
    maxDataBytes: ((1_048_576 - BESIDE_DATA) / 4) * 3,
    async open() {
      const client = kinesis.connect();
      clients.push(client);
      return new KinesisDeadLetterQueue({ stream: "letters", client });
    },
    letters: async () =>
      (await recordsOf(kinesis, "letters")).map(({ Data }) =>
        decodeDeadLetter(new TextDecoder().decode(Data)),
      ),
    async breakConnection() {
      for (const { faults } of clients) faults.drop({ times: Infinity });
    },
    async restore() {
      for (const { faults } of clients) faults.clear();
    },
    async [Symbol.asyncDispose]() {},
  };
}

deadLetterConformance("Kinesis", harness);
