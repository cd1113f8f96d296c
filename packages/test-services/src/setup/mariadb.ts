import { startMariadb } from "../mariadb.ts";
import { shared } from "./services.ts";

export default shared("mariadb", startMariadb, (server) => ({ ...server }));
