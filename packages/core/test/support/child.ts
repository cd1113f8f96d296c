import { KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer, KinesisHttpHandler } from "../../src/index.ts";

/**
 * A program as a user writes it, with a client of the consumer's own or one that nobody destroys. It
 * prints each record and ends as its argument says, without `process.exit`.
 */
const [, , ending, client] = process.argv;
const consumer = new Consumer({
  stream: "orders",
  start: "TRIM_HORIZON",
  ...(client === "kept"
    ? { client: new KinesisClient({ requestHandler: new KinesisHttpHandler() }) }
    : {}),
});
const print = (text: string): void => void process.stdout.write(`${text}\n`);

if (ending === "break") {
  for await (const record of consumer.records()) {
    print(record.text());
    if (record.text() === "last") break;
  }
} else {
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  await consumer.scan((record) => print(record.text()), { signal: stop.signal });
}
print("over");
