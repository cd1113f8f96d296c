export { PrometheusCounter, type PrometheusCounterOptions } from "./prometheus-counter.ts";
export { prometheusName } from "./names.ts";
