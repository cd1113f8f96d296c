import type { TestProject } from "vitest/node";
import dynamodb from "../src/setup/dynamodb.ts";
import mariadb from "../src/setup/mariadb.ts";
import mysql from "../src/setup/mysql.ts";
import postgres from "../src/setup/postgres.ts";
import redisCluster from "../src/setup/redis-cluster.ts";
import redis from "../src/setup/redis.ts";
import sqsS3 from "../src/setup/sqs-s3.ts";

const setups = [dynamodb, mariadb, mysql, postgres, redis, redisCluster, sqsS3];

/** All at the same time. A project that needs one names it: see the README. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const teardowns = await Promise.all(setups.map((each) => each(project)));
  return async () => {
    await Promise.all(teardowns.map((teardown) => teardown()));
  };
}
