import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** What happened at an airport: its code is the partition key, so each airport's order is kept. */
export interface FlightEvent {
  readonly airport: string;
  readonly event: "departed" | "arrived";
  readonly flight: string;
  readonly date: string;
  readonly delayMinutes: number;
}

interface Flight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** 20,000 flights within the United States in 2001, each as a departure and an arrival. */
export function* flightEvents(): Generator<FlightEvent> {
  const require = createRequire(import.meta.url);
  const file = require
    .resolve("vega-datasets")
    .replace(/build[/\\].*$/, "data/flights-20k.json");
  const flights = JSON.parse(readFileSync(file, "utf8")) as Flight[];
  for (const { date, delay, origin, destination } of flights) {
    const flight = `${origin}-${destination}`;
    yield { airport: origin, event: "departed", flight, date, delayMinutes: delay };
    yield { airport: destination, event: "arrived", flight, date, delayMinutes: delay };
  }
}
