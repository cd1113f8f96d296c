import { startPostgres } from "../postgres.ts";
import { shared } from "./services.ts";

export default shared("postgres", startPostgres, (server) => ({ ...server }));
