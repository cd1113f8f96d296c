import { counterConformance, type CounterHarness } from "@kc/conformance";
import { StatsdCounter } from "../src/index.ts";
import { tagValue } from "../src/names.ts";
import { startServer, type Sample } from "./support/server.ts";

const FILLING = { stream: "-", application: "filling".padEnd(50, ".") };

/** A datagram that is full leaves at once; otherwise it waits for more. */
function fillDatagram(counter: StatsdCounter): void {
  for (let n = 0; n < 15; n += 1) counter.set("buffer_bytes", 1, FILLING);
}
/** A server that adds up what it hears, as a StatsD server does. */
async function makeHarness(): Promise<CounterHarness> {
  const server = await startServer();
  const counters: StatsdCounter[] = [];
  let reads = 0;
  const samplesOf = async (
    name: string,
    attributes: Readonly<Record<string, string>>,
  ): Promise<readonly Sample[]> => {
    // Each counter's socket keeps its order: what comes after this marker was sent after it.
    reads += 1;
    for (const [index, counter] of counters.entries()) {
      const application = `marker-${reads}-${index}`;
      counter.set("buffer_bytes", 1, { stream: "-", application });
      fillDatagram(counter);
      await server.until(application);
    }
    const tags = Object.entries(attributes).map(([tag, value]) => `${tag}:${tagValue(value)}`);
    return server
      .samples()
      .filter((one) => one.name === `kinesis.${name}`)
      .filter((one) => one.tags.size === tags.length && tags.every((tag) => one.tags.has(tag)));
  };
  const sumOf = (samples: readonly Sample[]): number =>
    samples.reduce((sum, { value }) => sum + value, 0);
  return {
    open() {
      const counter = new StatsdCounter({ port: server.port });
      counters.push(counter);
      return counter;
    },
    async read(name, attributes) {
      const own = await samplesOf(name, attributes);
      if (own.length === 0) return undefined;
      return own[0]!.type === "g" ? own.at(-1)!.value : sumOf(own);
    },
    async readHistogram(name, attributes) {
      const own = await samplesOf(name, attributes);
      if (own.some(({ type }) => type !== "ms")) throw new Error("not a timing");
      if (own.length === 0) return undefined;
      const buckets = own.map(({ value }) => ({ from: value, to: value, count: 1 }));
      return { count: own.length, sum: sumOf(own), buckets };
    },
    async [Symbol.asyncDispose]() {
      for (const counter of counters) await counter[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const reason = "StatsD has no way to end a series: its server forgets one that is no longer sent";

counterConformance("StatsdCounter", makeHarness, {
  knownGaps: {
    "remove.gauge": reason,
    "remove.counter": reason,
    "remove.restart": reason,
    "remove.handles": reason,
  },
});
