import { randomBytes } from "node:crypto";

/** For a server's superuser: without one, any user of this machine could do what the tests may. */
export function randomPassword(): string {
  return randomBytes(16).toString("hex");
}
