export { DynamoDBStore } from "./dynamodb-store.ts";
export type { DynamoDBStoreOptions } from "./options.ts";
export type { DynamoDBClientLike } from "./client.ts";
