import { randomBytes } from "node:crypto";

/**
 * For a server's superuser: without a password, any user of this machine would have the tests'
 * permissions.
 */
export function randomPassword(): string {
  return randomBytes(16).toString("hex");
}
