/**
 * Receives log lines. `console` is a valid logger and prints one line for each. Fields contain ids, positions, counts
 * and errors, never a record's data or partition key. If there is an error, `error` is its text on one line, and
 * `err` the error itself.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** The methods of a pino logger that `fromPino` uses. */
export interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Adapts a pino logger. pino expects the fields first, and writes `err` with stack and cause. */
export function fromPino(pino: PinoLike): Logger {
  const to =
    (level: keyof Logger) =>
    (message: string, fields: LogFields = {}): void => {
      const { error: _, ...rest } = fields;
      pino[level](rest, message);
    };
  return { debug: to("debug"), info: to("info"), warn: to("warn"), error: to("error") };
}
