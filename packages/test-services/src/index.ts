export { type ConsumerProgram, expectToContinue } from "./consumer-program.ts";
export {
  type DynamoDbAddress,
  type DynamoDbLocalServer,
  startDynamoDbLocal,
} from "./dynamodb-local.ts";
export { NoFerrokinesisError } from "./ferrokinesis-program.ts";
export { type Front, type FrontAnswer, type FrontRequest, startFront } from "./front.ts";
export { type GaleraCluster, NoGaleraError, startGalera } from "./galera.ts";
export {
  startFerrokinesis,
  startKinesalite,
  startKinesisLocal,
  type Witness,
} from "./kinesis-witnesses.ts";
export { type MariadbServer, startMariadb } from "./mariadb.ts";
export type { MysqlAddress } from "./mysql-address.ts";
export { mutated, seeded } from "./mutator.ts";
export { NoMysqlError } from "./mysql-program.ts";
export { type MysqlServer, startMysql } from "./mysql.ts";
export { type PgBouncerOptions, type PgBouncerServer, startPgBouncer } from "./pgbouncer.ts";
export { type PostgresAddress, type PostgresServer, startPostgres } from "./postgres.ts";
export {
  NoPrometheusError,
  promtool,
  type PrometheusServer,
  startPrometheus,
} from "./prometheus.ts";
export { NoPythonError, pythonWithAws } from "./python.ts";
export { signalTree, type TreeSignal } from "./process-tree.ts";
export { type Proxy, type ProxyOptions, startProxy } from "./proxy.ts";
export {
  type RedisClusterAddress,
  type RedisClusterServer,
  startRedisCluster,
} from "./redis-cluster.ts";
export { type RedisAddress, type RedisOptions, type RedisServer, startRedis } from "./redis.ts";
export type { Address, Lifecycle } from "./server-process.ts";
export { type SqsS3Address, type SqsS3Server, startSqsS3 } from "./sqs-s3.ts";
export type { Services } from "./setup/addresses.ts";
