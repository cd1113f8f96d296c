import { startRedisCluster } from "../redis-cluster.ts";
import { shared } from "./services.ts";

export default shared("redisCluster", startRedisCluster, ({ nodes }) => ({
  nodes: nodes.map((node) => ({ ...node })),
}));
