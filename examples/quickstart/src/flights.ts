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
export function flightEvents(): FlightEvent[] {
  const require = createRequire(import.meta.url);
  const file = require.resolve("vega-datasets").replace(/build[/\\].*$/, "data/flights-20k.json");
  const flights = JSON.parse(readFileSync(file, "utf8")) as Flight[];
  return flights.flatMap(({ date, delay, origin, destination }): FlightEvent[] => {
    const common = { flight: `${origin}-${destination}`, date, delayMinutes: delay };
    return [
      { airport: origin, event: "departed", ...common },
      { airport: destination, event: "arrived", ...common },
    ];
  });
}
