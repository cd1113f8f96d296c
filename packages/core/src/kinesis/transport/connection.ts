import { connect as connectTcp, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";
import { brokenOff } from "../reply-memory.ts";
import { ReplyBody } from "./reply-body.ts";
import { timeoutError } from "./sdk-errors.ts";
import { BadReplyError, parseReplyHead, type ReplyHead } from "./reply-head.ts";
import { limitTime } from "./time-limit.ts";

export interface HttpReply {
  readonly statusCode: number;
  readonly reason: string;
  readonly headers: Record<string, string>;
  /** Complete, in memory of its own. */
  readonly body: Uint8Array;
}

/** Called when a reply's head is here. What it returns is called as `ReplyMemory`'s `onBytes` is. */
export type ReplyStarted = (
  statusCode: number,
  headers: Record<string, string>,
) => (bytes: number) => void;

export interface ConnectTarget {
  readonly hostname: string;
  readonly port: number;
  /** Undefined = a plain connection. */
  readonly tls: TlsOptions | undefined;
}

export interface ConnectionOptions {
  readonly target: ConnectTarget;
  /** For the connection, TLS included, in milliseconds; 0 = without limit. */
  readonly connectionTimeout: number;
  /** Called with a TLS session that another connection can resume. */
  readonly onSession: (session: Buffer) => void;
  /** Called once, when it is of no use any more. */
  readonly onClose: () => void;
}

/** How long a connection is used, in milliseconds. */
export interface ConnectionLimits {
  /** Since its last request. */
  readonly idleMs: number;
  /** Since it was opened. */
  readonly lifeMs: number;
}

/** How a socket hands over what it reads. */
interface SocketReads {
  readonly buffer: () => Uint8Array;
  readonly callback: (bytes: number) => boolean;
}

interface Exchange {
  readonly method: string;
  readonly started: ReplyStarted | undefined;
  readonly resolve: (reply: HttpReply) => void;
  readonly reject: (error: unknown) => void;
  head: ReplyHead | undefined;
  body: ReplyBody | undefined;
}

/** A head is no longer: what Node's own client takes. */
const SCRATCH = 16 * 1024;
const KEEP_ALIVE_MS = 1000;
/** A packet that was lost is sent again after a second. */
const ADDRESS_MS = 2000;

/**
 * One connection, one request after another. The socket writes what it reads into the reply's own
 * memory: there is no stream, and no copy, between them.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #onClose: () => void;
  /** What has come that is no counted body: heads and chunked bodies. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH);
  #scratched = 0;
  #exchange: Exchange | undefined;
  #failure: Error | undefined;
  #isClosed = false;
  #hasAnswered = false;
  /** The server may close it from here on. */
  #reusableUntil = Infinity;
  #idleSince = 0;
  readonly #openedAt = performance.now();

  constructor({ target, connectionTimeout, onSession, onClose }: ConnectionOptions) {
    this.#onClose = onClose;
    const reads = {
      buffer: () => this.#room(),
      callback: (bytes: number) => this.#read(bytes),
    };
    const socket = openSocket(target, reads, addressTimeout(connectionTimeout));
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("error", (error) => (this.#failure ??= error));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#closed());
    socket.on("session", onSession);
    if (connectionTimeout > 0) this.#limitConnecting(target, connectionTimeout);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /** Has all that was written left? TLS says so one turn of the event loop later. */
  get isSent(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** Did it carry a whole reply? */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Sends a request. Rejects if the connection breaks off: it is closed then. Called when none is under way. */
  exchange(message: Buffer, method: string, started: ReplyStarted | undefined): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      this.#exchange = { method, started, resolve, reject, head: undefined, body: undefined };
      this.#socket.ref();
      if (this.isOpen) this.#socket.write(message);
      else this.#finish(() => reject(this.#failure ?? brokenOff()));
    });
  }

  /** Keeps no process alive until it is used again. */
  rest(): void {
    this.#idleSince = performance.now();
    this.#socket.unref();
  }

  /** May it carry another request, or has the other end, or a firewall, perhaps closed it? */
  isReusable(now: number, { idleMs, lifeMs }: ConnectionLimits): boolean {
    return (
      this.isOpen &&
      now < this.#reusableUntil &&
      now - this.#idleSince < idleMs &&
      now - this.#openedAt < lifeMs
    );
  }

  /** Closes it. The request under way rejects with the reason. */
  destroy(reason: Error = brokenOff()): void {
    this.#failure ??= reason;
    this.#socket.destroy();
    this.#closed();
  }

  /** A connection that is not there in time fails as the SDK's own handler says it. */
  #limitConnecting({ tls }: ConnectTarget, connectionTimeout: number): void {
    const cancel = limitTime(connectionTimeout, () =>
      this.destroy(timeoutError(`the connection was not there after ${connectionTimeout} ms`)),
    );
    this.#socket.once(tls === undefined ? "connect" : "secureConnect", cancel);
    this.#socket.once("close", cancel);
  }

  /** Never throws: the socket calls it. Memory for more of the body may be refused. */
  #room(): Uint8Array {
    try {
      const room = this.#exchange?.body?.room();
      if (room !== undefined) return room;
    } catch (error) {
      this.destroy(error as Error);
    }
    return this.#scratch.subarray(this.#scratched);
  }

  /** So many bytes were written into `room`. Never throws: the socket calls it. */
  #read(bytes: number): boolean {
    try {
      const { body } = this.#exchange ?? {};
      if (body?.hasRoom !== true) this.#readScratch(bytes);
      else this.#readBody(this.#exchange!, body, bytes, body.took(bytes));
    } catch (error) {
      this.destroy(error as Error);
    }
    return true;
  }

  #readScratch(bytes: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) throw new BadReplyError("it came without a request");
    const came = this.#scratch.subarray(0, this.#scratched + bytes);
    const rest = exchange.body === undefined ? this.#readHead(exchange, came) : came;
    this.#scratched = exchange.body === undefined ? rest.copy(this.#scratch) : 0;
    const { body } = exchange;
    if (body === undefined) {
      if (this.#scratched === SCRATCH) throw new BadReplyError("its head is too long");
      return;
    }
    this.#readBody(exchange, body, rest.byteLength, body.done ? 0 : body.add(rest));
  }

  /** So many bytes came, and `own` of them are the body's. */
  #readBody(exchange: Exchange, body: ReplyBody, came: number, own: number): void {
    if (!body.done) return;
    this.#complete(exchange, body);
    if (own < came) this.destroy(new BadReplyError("it goes on beyond its end"));
  }

  /** What follows the head, if it is complete; the exchange has a body then. */
  #readHead(exchange: Exchange, came: Buffer): Buffer {
    let rest = came;
    for (let head = parseReplyHead(rest); head !== undefined; head = parseReplyHead(rest)) {
      rest = rest.subarray(head.length);
      if (head.statusCode === 101) throw new BadReplyError("it changes the protocol");
      // 100 Continue, 103 Early Hints: the reply comes after them.
      if (head.statusCode < 200) continue;
      const onBytes = exchange.started?.(head.statusCode, head.headers) ?? ((): void => {});
      exchange.head = head;
      exchange.body = new ReplyBody(head, exchange.method, onBytes);
      break;
    }
    return rest;
  }

  #complete(exchange: Exchange, body: ReplyBody): void {
    const { statusCode, reason, headers, keepsAlive } = exchange.head!;
    const reply = { statusCode, reason, headers, body: body.bytes() };
    this.#hasAnswered = true;
    this.#reusableUntil = reusableUntil(headers["keep-alive"]);
    this.#finish(() => exchange.resolve(reply));
    if (!keepsAlive || body.endsWithConnection) this.destroy();
  }

  /** The other end sends no more. */
  #ended(): void {
    const { body } = this.#exchange ?? {};
    if (body?.endsWithConnection === true) this.#complete(this.#exchange!, body);
    // During TLS's handshake, Node has said so.
    this.destroy(this.#socket.errored ?? brokenOff());
  }

  #closed(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      const failure = this.#failure ?? brokenOff();
      this.#finish(() => exchange.reject(failure));
    }
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
  }

  #finish(settle: () => void): void {
    this.#exchange = undefined;
    settle();
  }
}

/** A server that says when it closes idle connections is believed, a second early. */
function reusableUntil(keepAlive: string | undefined): number {
  const seconds = /timeout=([0-9]{1,9})/i.exec(keepAlive ?? "")?.[1];
  return seconds === undefined ? Infinity : performance.now() + Number(seconds) * 1000 - 1000;
}

/**
 * How long one of a host's addresses may take before the next one has its turn, in milliseconds. Node's
 * own limit is 250 ms: a host that is farther away is not reached then.
 */
export function addressTimeout(connectionTimeout: number): number {
  return connectionTimeout > 0 ? Math.min(ADDRESS_MS, connectionTimeout / 2) : ADDRESS_MS;
}

function openSocket(
  { hostname, port, tls }: ConnectTarget,
  reads: SocketReads,
  autoSelectFamilyAttemptTimeout: number,
): Socket {
  // The types want a Buffer, where any Uint8Array will do.
  const onread = reads as OnReadOpts;
  const options = { host: hostname, port, onread, autoSelectFamilyAttemptTimeout };
  return tls === undefined ? connectTcp(options) : connectTls({ ...options, ...tls });
}
