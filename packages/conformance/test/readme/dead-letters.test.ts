import { deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { MemoryDeadLetterQueue, type DeadLetter } from "@kc/core";

/** A place of its own for each scenario. Here it is a Map; yours is a queue, a bucket's prefix, a table. */
async function makeHarness(): Promise<DeadLetterHarness> {
  const data = new Map<string, DeadLetter>();
  return {
    open: async () => new MemoryDeadLetterQueue({ data }),
    letters: async () => [...data.values()],
    async [Symbol.asyncDispose]() {},
  };
}

deadLetterConformance("MemoryDeadLetterQueue", makeHarness, {
  knownGaps: {
    "outage.rejects": "memory has no connection that could break",
    "outage.abort": "memory has no connection that could break",
  },
});
