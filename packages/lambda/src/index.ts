export type {
  KinesisEvent,
  KinesisEventRecord,
  KinesisPayload,
  LambdaAnswer,
  LambdaContext,
  LambdaHandler,
} from "./lambda-event.ts";
export { toLambdaBatchHandler, toLambdaHandler } from "./lambda-handler.ts";
export type { LambdaBatchOptions, LambdaOptions } from "./lambda-options.ts";
