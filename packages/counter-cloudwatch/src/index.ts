export { CloudWatchCounter } from "./cloudwatch-counter.ts";
export { cloudWatchDimensions, cloudWatchName, type CloudWatchName } from "./names.ts";
export type { CloudWatchCounterOptions } from "./options.ts";
export type { CloudWatchLike } from "./put-metric-data-sink.ts";
