import { startDynamoDbLocal } from "../dynamodb-local.ts";
import { shared } from "./services.ts";

export default shared("dynamodb", startDynamoDbLocal, (server) => ({ ...server }));
