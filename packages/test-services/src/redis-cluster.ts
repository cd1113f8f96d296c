import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { type RedisAddress, type RedisServer, startRedisServer } from "./redis.ts";
import { redisCommand } from "./redis-command.ts";

export interface RedisClusterAddress {
  /** Three masters, each with a third of the slots. */
  readonly nodes: readonly RedisAddress[];
}

export interface RedisClusterServer extends RedisClusterAddress, AsyncDisposable {
  /** Each can be stopped, killed, frozen and restarted on its own. */
  readonly nodes: readonly RedisServer[];
  /** Resolves when all nodes report a complete cluster, which is seconds after a restart of one. */
  whole(): Promise<void>;
  close(): Promise<void>;
}

const SLOTS = 16_384;
const NODES = 3;
const WHOLE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 20;

export async function startRedisCluster(): Promise<RedisClusterServer> {
  // By default the nodes communicate at a port that is 10,000 higher, which might be in use.
  const busPorts = await Promise.all(Array.from({ length: NODES }, freePort));
  const nodes = await Promise.all(busPorts.map(startNode));
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()));
  };
  const whole = async (): Promise<void> => {
    await Promise.all(nodes.map(untilWhole));
  };
  try {
    await join(nodes, busPorts);
    await whole();
  } catch (error) {
    await close();
    throw error;
  }
  return { nodes, whole, close, [Symbol.asyncDispose]: close };
}

function startNode(busPort: number): Promise<RedisServer> {
  const cluster = ["--cluster-enabled", "yes", "--cluster-port", String(busPort)];
  return startRedisServer("redis-node", ["--appendonly", "yes", ...cluster]);
}

async function join(nodes: readonly RedisServer[], busPorts: readonly number[]): Promise<void> {
  const firstSlot = (node: number): number => Math.floor((SLOTS * node) / NODES);
  for (const [i, node] of nodes.entries()) {
    await redisCommand(node, `CLUSTER ADDSLOTSRANGE ${firstSlot(i)} ${firstSlot(i + 1) - 1}`);
    if (i === 0) continue;
    const { host, port } = nodes[0] as RedisServer;
    await redisCommand(node, `CLUSTER MEET ${host} ${port} ${busPorts[0]}`);
  }
}

/** Waits until a node knows the others and reports a complete cluster. */
async function untilWhole(node: RedisServer): Promise<void> {
  const deadline = performance.now() + WHOLE_WITHIN_MS;
  for (;;) {
    const info = await redisCommand(node, "CLUSTER INFO");
    if (info.includes("cluster_state:ok") && info.includes(`cluster_size:${NODES}`)) return;
    if (performance.now() > deadline) throw new Error(`the Redis cluster is not whole: ${info}`);
    await sleep(LOOK_EVERY_MS);
  }
}
