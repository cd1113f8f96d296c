/**
 * `npm run services`: every server that the tests use, for a person, until Ctrl-C. `--json` prints
 * the addresses as one line of JSON instead, and ends with standard input.
 */
import { parseArgs } from "node:util";
import { startDynamoDbLocal } from "./dynamodb-local.ts";
import { startMariadb } from "./mariadb.ts";
import { startPostgres } from "./postgres.ts";
import { startRedisCluster } from "./redis-cluster.ts";
import { startRedis } from "./redis.ts";

const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const servers = await Promise.all([
  startPostgres(),
  startMariadb(),
  startRedis(),
  startRedisCluster(),
  startDynamoDbLocal(),
]);
const [postgres, mariadb, redis, cluster, dynamodb] = servers;
const addresses = {
  postgres: postgres.connectionString,
  mariadb: mariadb.uri,
  redis: redis.url,
  redisCluster: cluster.nodes.map(({ url }) => url),
  dynamodb: dynamodb.endpoint,
};

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
await stopped;
await Promise.all(servers.map((server) => server.close()));
