import { startRedis } from "../redis.ts";
import { shared } from "./services.ts";

export default shared("redis", startRedis, (server) => ({ ...server }));
