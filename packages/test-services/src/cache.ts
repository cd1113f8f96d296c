import { fileURLToPath } from "node:url";

/** What was fetched for the tests and is no npm package. Lives as long as the installed packages. */
export const CACHE = fileURLToPath(new URL("../node_modules/.cache", import.meta.url));
