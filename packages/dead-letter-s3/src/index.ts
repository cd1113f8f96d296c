export type { PutSettings, S3ClientLike, S3DeadLetterQueueOptions } from "./options.ts";
export { S3DeadLetterQueue } from "./s3-dead-letter-queue.ts";
