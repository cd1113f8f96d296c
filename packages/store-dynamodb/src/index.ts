export { DynamoDBStore } from "./dynamodb-store.ts";
export type { DynamoDBClientLike, DynamoDBStoreOptions } from "./options.ts";
export type { DynamoTransaction } from "./transaction.ts";
