/** Whose metrics, log lines and events these are. */
export interface Source {
  readonly stream: string;
  readonly application: string;
}
