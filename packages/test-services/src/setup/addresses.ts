import type { DynamoDbAddress } from "../dynamodb-local.ts";
import type { MysqlAddress } from "../mysql-address.ts";
import type { PostgresAddress } from "../postgres.ts";
import type { RedisClusterAddress } from "../redis-cluster.ts";
import type { RedisAddress } from "../redis.ts";
import type { SqsS3Address } from "../sqs-s3.ts";

/**
 * The addresses that the modules in this directory provide: `inject("redis")` in a test returns
 * that server's address.
 */
export interface Services {
  readonly dynamodb: DynamoDbAddress;
  readonly mariadb: MysqlAddress;
  /** `undefined` if Oracle's MySQL is not available. */
  readonly mysql: MysqlAddress | undefined;
  readonly postgres: PostgresAddress;
  readonly redis: RedisAddress;
  readonly redisCluster: RedisClusterAddress;
  readonly sqsS3: SqsS3Address;
}

declare module "vitest" {
  interface ProvidedContext extends Services {}
}
