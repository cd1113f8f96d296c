import { expect, test } from "vitest";
import { ENCODED_CANARIES, scanWithCanaries } from "../../core/test/support/canary.ts";
import { StatsdCounter } from "../src/index.ts";
import { startServer } from "./support/server.ts";

test.each(["dogstatsd", "none"] as const)(
  "no data, partition key or credential is in a datagram: tags %s",
  async (tags) => {
    await using server = await startServer();
    await using counter = new StatsdCounter({ port: server.port, tags });
    await scanWithCanaries(counter);
    // Metrics of a kind come in order: what is counted last has come when this has.
    counter.add("wire_fallbacks", 1, { stream: "orders", application: "the-last" });
    await server.until("the-last");
    const sent = server.lines.join("\n");
    expect(sent).toContain("HANDLER_FAILED");
    expect(sent).toContain("TimeoutError");
    for (const canary of ENCODED_CANARIES) expect(sent).not.toContain(canary);
  },
);
