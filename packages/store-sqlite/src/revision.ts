import type { StoreScope } from "@kc/core";
import type { Session } from "./driver.ts";
import { RAISE_REVISION, READ_REVISION } from "./lease-statements.ts";
import { keyOf } from "./rows.ts";

/** 0 = nothing was ever changed. */
export function readRevision(session: Session, scope: StoreScope): number {
  return Number(session.query(READ_REVISION, keyOf(scope))[0]?.["revision"] ?? 0);
}

/** A worker came or went, or a lease's row has changed. Answers with the new revision. */
export function raiseRevision(session: Session, scope: StoreScope): number {
  return Number(session.query(RAISE_REVISION, keyOf(scope))[0]!["revision"]);
}
