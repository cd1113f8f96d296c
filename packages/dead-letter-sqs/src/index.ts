export type { SqsClientLike, SqsDeadLetterQueueOptions } from "./options.ts";
export { SqsDeadLetterQueue } from "./sqs-dead-letter-queue.ts";
