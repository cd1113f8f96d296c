import type { StoreScope } from "@kc/core";
import type { Session } from "./driver.ts";
import { RAISE_REVISION, READ_REVISION } from "./lease-statements.ts";
import { keyOf } from "./rows.ts";

/** The group's revision; 0 if nothing was ever changed. */
export function readRevision(session: Session, scope: StoreScope): number {
  return Number(session.query(READ_REVISION, keyOf(scope))[0]?.["revision"] ?? 0);
}

/** Called when a worker has joined or left, or a lease's row has changed. Returns the new revision. */
export function raiseRevision(session: Session, scope: StoreScope): number {
  return Number(session.query(RAISE_REVISION, keyOf(scope))[0]!["revision"]);
}
