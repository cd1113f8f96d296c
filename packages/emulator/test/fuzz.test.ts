import { seeded } from "@kc-internal/test-services";
import { expect, test } from "vitest";
import { FuzzedService } from "./fuzz/fuzzed-service.ts";
import { Requests } from "./fuzz/requests.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 6000);
/** After so many requests a service is compared with what it accepted, and gives way to another. */
const STRETCH = 500;
/** Bytes of a request in a failure's message. */
const MAX_SHOWN = 2000;

test.each(["json", "cbor"] as const)(
  "mutated requests in %s are read or refused as the service's model says, and no record changes",
  async (name) => {
    let service = new FuzzedService(name);
    const requests = new Requests(service.wire, seeded(SEED), service.tokens);
    const verdicts: Record<string, number> = {};
    for (let run = 1; run <= RUNS; run += 1) {
      const { operation, body } = requests.next();
      try {
        const verdict = await service.send(operation, body);
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
        if (run % STRETCH > 0 && run < RUNS) continue;
        await service.compare();
        service = new FuzzedService(name);
      } catch (error) {
        const shown = body.toString("base64", 0, MAX_SHOWN);
        const message = `FUZZ_SEED=${SEED}, run ${run}: ${operation} of ${shown}`;
        throw new Error(message, { cause: error });
      }
    }
    for (const verdict of [
      "carried out",
      "allowed",
      "ValidationException",
      "SerializationException",
    ]) {
      expect(verdicts[verdict], verdict).toBeGreaterThan(RUNS / 20);
    }
  },
);
