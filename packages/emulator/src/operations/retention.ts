import type { Empty, Input } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";

const MIN_HOURS = 24;
const MAX_HOURS = 8760;

export function increaseStreamRetentionPeriod(
  model: Model,
  input: Input<"IncreaseStreamRetentionPeriod">,
): Empty {
  return changeRetention(model, input, 1);
}

export function decreaseStreamRetentionPeriod(
  model: Model,
  input: Input<"DecreaseStreamRetentionPeriod">,
): Empty {
  return changeRetention(model, input, -1);
}

function changeRetention(
  { streams }: Model,
  input: Input<"IncreaseStreamRetentionPeriod">,
  direction: 1 | -1,
): Empty {
  const stream = streams.findActive(input);
  const hours = input.RetentionPeriodHours!;
  const current = stream.retention.hours;
  const requested = `Requested retention period (${hours} hours)`;
  if (hours < MIN_HOURS) {
    throw invalid(
      `Minimum allowed retention period is ${MIN_HOURS} hours. ${requested} is too short.`,
    );
  }
  if (hours > MAX_HOURS) {
    throw invalid(
      `Maximum allowed retention period is ${MAX_HOURS} hours. ${requested} is too long.`,
    );
  }
  if ((hours - current) * direction < 0) {
    throw invalid(
      `${requested} for stream ${stream.name} can not be ` +
        `${direction > 0 ? "shorter" : "longer"} than existing retention period ` +
        `(${current} hours). Use ${direction > 0 ? "Decrease" : "Increase"}RetentionPeriod API.`,
    );
  }
  stream.retention.set(hours, streams.now());
  return {};
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
