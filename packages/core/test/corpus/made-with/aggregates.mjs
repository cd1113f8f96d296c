// Prints aggregates as JSON. With: npm install aws-kinesis-agg@4.2.8; node aggregates.mjs
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { aggregate } = createRequire(import.meta.url)("aws-kinesis-agg");
const cases = JSON.parse(readFileSync("cases.json", "utf8"));
const made = {};
for (const [name, records] of Object.entries(cases)) {
  const given = records.map((record) => ({ ...record, data: Buffer.from(record.data, "hex") }));
  aggregate(
    given,
    ({ data }) => (made[name] = data.toString("hex")),
    () => {},
    (error) => console.error(error),
  );
}
await new Promise((resolve) => setTimeout(resolve, 100));
console.log(JSON.stringify(made, undefined, 2));
