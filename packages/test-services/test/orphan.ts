import { startPostgres } from "../src/index.ts";

// A process that starts a server, freezes it, and never gets to the end.
const server = await startPostgres();
server.freeze();
process.send?.(server.port);
