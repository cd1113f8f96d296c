export { KinesisDeadLetterQueue } from "./kinesis-dead-letter-queue.ts";
export type { KinesisClientLike, KinesisDeadLetterQueueOptions } from "./options.ts";
