import { startPostgres, startRedis } from "../src/index.ts";

// A process that never closes the server that it starts.
const server = await (process.argv[2] === "postgres" ? startPostgres() : startRedis());
if (process.argv[3] === "frozen") server.freeze();
process.send?.(server.port);
// Until the channel is closed, or it is killed: without a listener it would end by itself.
process.on("disconnect", () => undefined);
