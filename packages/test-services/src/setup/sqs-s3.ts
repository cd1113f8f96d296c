import { startSqsS3 } from "../sqs-s3.ts";
import { shared } from "./services.ts";

export default shared("sqsS3", startSqsS3, (server) => ({ ...server }));
