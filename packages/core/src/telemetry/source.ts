/** The source of metrics, log lines and events. */
export interface Source {
  readonly stream: string;
  readonly application: string;
}
