import type { LogFields, Logger } from "../../src/index.ts";

export interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields;
}

export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(message: string, fields?: LogFields): void {
    this.#add("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#add("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#add("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#add("error", message, fields);
  }

  /** The same log for one consumer, whose messages `onLine` is told of. */
  tellingOf(onLine: (message: string) => void): Logger {
    const tell =
      (level: keyof Logger) =>
      (message: string, fields?: LogFields): void => {
        this.#add(level, message, fields);
        onLine(message);
      };
    return { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") };
  }

  /** The lines of a level whose message matches. */
  find(level: keyof Logger, pattern: RegExp): LogLine[] {
    return this.lines.filter((line) => line.level === level && pattern.test(line.message));
  }

  #add(level: keyof Logger, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields });
  }
}
