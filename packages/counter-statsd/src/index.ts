export { StatsdCounter, type StatsdClient, type StatsdCounterOptions } from "./statsd-counter.ts";
