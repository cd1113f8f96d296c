/**
 * `npm run services`: starts every server that the tests use, or those that `--only` names, until
 * Ctrl-C. Without Oracle's MySQL, a message says that it is missing. `--json` prints the addresses
 * as one line of JSON instead, and ends when standard input ends.
 */
import { parseArgs } from "node:util";
import { startDynamoDbLocal } from "./dynamodb-local.ts";
import { startMariadb } from "./mariadb.ts";
import { NoMysqlError } from "./mysql-program.ts";
import { startMysql } from "./mysql.ts";
import { startPostgres } from "./postgres.ts";
import { startRedisCluster } from "./redis-cluster.ts";
import { startRedis } from "./redis.ts";
import { startSqsS3 } from "./sqs-s3.ts";

type Started = {
  readonly urls: string | readonly string[];
  readonly server: { close(): Promise<void> };
};

const STARTS: Readonly<Record<string, () => Promise<Started | undefined>>> = {
  postgres: async () =>
    startPostgres().then((server) => ({ server, urls: server.connectionString })),
  mariadb: async () => startMariadb().then((server) => ({ server, urls: server.uri })),
  mysql: async () => startMysql().then((server) => ({ server, urls: server.uri }), unlessMissing),
  redis: async () => startRedis().then((server) => ({ server, urls: server.url })),
  redisCluster: async () =>
    startRedisCluster().then((server) => ({ server, urls: server.nodes.map(({ url }) => url) })),
  dynamodb: async () => startDynamoDbLocal().then((server) => ({ server, urls: server.endpoint })),
  sqsS3: async () => startSqsS3().then((server) => ({ server, urls: server.endpoint })),
};

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof NoMysqlError)) throw error;
  console.error(error.message);
}

const { values } = parseArgs({
  options: { json: { type: "boolean", default: false }, only: { type: "string", multiple: true } },
});
const names = values.only ?? Object.keys(STARTS);
const unknown = names.find((name) => !Object.hasOwn(STARTS, name));
if (unknown !== undefined) {
  console.error(`there is no ${unknown}: ${Object.keys(STARTS).join(", ")}`);
  process.exit(2);
}
const attempts = await Promise.all(
  names.map(async (name) => ({ name, ...(await STARTS[name]!()) })),
);
const started = attempts.flatMap(({ name, server, urls }) =>
  server === undefined || urls === undefined ? [] : [{ name, server, urls }],
);
const addresses = Object.fromEntries(started.map(({ name, urls }) => [name, urls]));

const stopped = new Promise<void>((resolve) => {
  process.once("SIGINT", () => resolve());
  process.once("SIGTERM", () => resolve());
  if (values.json) process.stdin.resume().once("end", () => resolve());
});
if (values.json) console.log(JSON.stringify(addresses));
else {
  console.log("They listen on the loopback address alone, until Ctrl-C:\n");
  for (const [name, url] of Object.entries(addresses)) {
    console.log(`  ${name.padEnd(14)}${[url].flat().join(" ")}`);
  }
}
// Neither servers nor signal handlers keep the process alive.
const alive = setInterval(() => {}, 60_000);
await stopped;
clearInterval(alive);
await Promise.all(started.map(({ server }) => server.close()));
