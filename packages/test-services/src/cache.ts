import { fileURLToPath } from "node:url";

/**
 * The directory for fetched files that are not npm packages. It is removed with the installed
 * packages.
 */
export const CACHE = fileURLToPath(new URL("../node_modules/.cache", import.meta.url));
