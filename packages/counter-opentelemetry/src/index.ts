export { openTelemetryAttributes, openTelemetryName, type OpenTelemetryName } from "./names.ts";
export { OpenTelemetryCounter, type OpenTelemetryCounterOptions } from "./opentelemetry-counter.ts";
export {
  OpenTelemetryTracing,
  type OpenTelemetryTracingOptions,
  type TracedOperation,
} from "./opentelemetry-tracing.ts";
