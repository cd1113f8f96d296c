import { connect as connectTcp, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";
import { ReplyBody } from "./reply-body.ts";
import { connectionClosed, timeoutError } from "./sdk-errors.ts";
import { BadReplyError, parseReplyHead, type ReplyHead } from "./reply-head.ts";
import { startTimeout } from "./timeout.ts";

export interface HttpReply {
  readonly statusCode: number;
  readonly reason: string;
  readonly headers: Record<string, string>;
  /** Complete. Nothing else shares its memory. */
  readonly body: Uint8Array;
}

/** Called when the head of a reply has arrived. Returns the `onBytes` for the `ReplyBuffer` of the body. */
export type ReplyStarted = (
  statusCode: number,
  headers: Record<string, string>,
) => (bytes: number) => void;

export interface ConnectTarget {
  readonly hostname: string;
  readonly port: number;
  /** `undefined` for a connection without TLS. */
  readonly tls: TlsOptions | undefined;
}

export interface ConnectionOptions {
  readonly target: ConnectTarget;
  /** How long opening the connection may take, with TLS, in milliseconds; 0 = no limit. */
  readonly connectionTimeout: number;
  /** Called with a TLS session that another connection can resume. */
  readonly onSession: (session: Buffer) => void;
  /** Called once, when the connection has closed. */
  readonly onClose: () => void;
}

/** How long a connection is used, in milliseconds. */
export interface ConnectionLimits {
  /** Since its last request. */
  readonly idleMs: number;
  /** Since it was opened. */
  readonly lifeMs: number;
}

/** How a socket passes on what it reads. */
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

/** The maximum length of a head, in bytes; Node's own client has the same limit. */
const SCRATCH_BYTES = 16 * 1024;
const KEEP_ALIVE_MS = 1000;
/** Long enough for a lost packet, which TCP resends after a second. */
const ADDRESS_TIMEOUT_MS = 2000;

/**
 * One connection, which carries one request after another. The socket writes directly into the buffer of the
 * reply, without a stream or a copy.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #onClose: () => void;
  /** Receives heads and chunked bodies. Other bodies are received in their own buffer. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #scratchLength = 0;
  #exchange: Exchange | undefined;
  #failure: Error | undefined;
  #isClosed = false;
  #hasAnswered = false;
  /** From this time on, the server may close the connection. */
  #reusableUntil = Infinity;
  #idleSince = 0;
  readonly #openedAt = performance.now();

  constructor({ target, connectionTimeout, onSession, onClose }: ConnectionOptions) {
    this.#onClose = onClose;
    const reads = {
      buffer: () => this.#free(),
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

  /** Whether all written data was sent. TLS reports it one turn of the event loop late. */
  get isSent(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** Whether a complete reply was received on this connection. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /**
   * Sends a request and receives its reply. Rejects if the connection closes first. The caller ensures that no
   * other request is in flight.
   */
  exchange(message: Buffer, method: string, started: ReplyStarted | undefined): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      this.#exchange = { method, started, resolve, reject, head: undefined, body: undefined };
      this.#socket.ref();
      if (this.isOpen) this.#socket.write(message);
      else this.#finish(() => reject(this.#failure ?? connectionClosed()));
    });
  }

  /** Called after a request. Until its next request, the connection does not keep the process alive. */
  markIdle(): void {
    this.#idleSince = performance.now();
    this.#socket.unref();
  }

  /** Whether another request may use the connection: neither the server nor a firewall can have closed it. */
  isReusable(now: number, { idleMs, lifeMs }: ConnectionLimits): boolean {
    return (
      this.isOpen &&
      now < this.#reusableUntil &&
      now - this.#idleSince < idleMs &&
      now - this.#openedAt < lifeMs
    );
  }

  /** Closes the connection. The request in flight rejects with the reason. */
  destroy(reason: Error = connectionClosed()): void {
    this.#failure ??= reason;
    this.#socket.destroy();
    this.#closed();
  }

  /** The error is that of the SDK's own handler. */
  #limitConnecting({ tls }: ConnectTarget, connectionTimeout: number): void {
    const cancel = startTimeout(connectionTimeout, () =>
      this.destroy(
        timeoutError(`the connection was not established within ${connectionTimeout} ms`),
      ),
    );
    this.#socket.once(tls === undefined ? "connect" : "secureConnect", cancel);
    this.#socket.once("close", cancel);
  }

  /** Returns the space for the next bytes. Never throws, because the socket calls it. */
  #free(): Uint8Array {
    try {
      // Throws if there is no memory for more of the body.
      const free = this.#exchange?.body?.free();
      if (free !== undefined) return free;
    } catch (error) {
      this.destroy(error as Error);
    }
    return this.#scratch.subarray(this.#scratchLength);
  }

  /** Called when bytes were written to the space that `#free` returned. Never throws, because the socket calls it. */
  #read(bytes: number): boolean {
    try {
      const { body } = this.#exchange ?? {};
      if (body?.isWritable !== true) this.#readScratch(bytes);
      else this.#readBody(this.#exchange!, body, bytes, body.commit(bytes));
    } catch (error) {
      this.destroy(error as Error);
    }
    return true;
  }

  #readScratch(bytes: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) throw new BadReplyError("it arrived without a request");
    const received = this.#scratch.subarray(0, this.#scratchLength + bytes);
    const rest = exchange.body === undefined ? this.#readHead(exchange, received) : received;
    this.#scratchLength = exchange.body === undefined ? rest.copy(this.#scratch) : 0;
    const { body } = exchange;
    if (body === undefined) {
      if (this.#scratchLength === SCRATCH_BYTES) throw new BadReplyError("its head is too long");
      return;
    }
    this.#readBody(exchange, body, rest.byteLength, body.done ? 0 : body.add(rest));
  }

  /** @param received the number of bytes that arrived  @param own how many of them belong to the body */
  #readBody(exchange: Exchange, body: ReplyBody, received: number, own: number): void {
    if (!body.done) return;
    this.#complete(exchange, body);
    if (own < received) this.destroy(new BadReplyError("it is longer than announced"));
  }

  /** Returns the bytes after the head if that is complete; the exchange then has a body. */
  #readHead(exchange: Exchange, received: Buffer): Buffer {
    let rest = received;
    for (let head = parseReplyHead(rest); head !== undefined; head = parseReplyHead(rest)) {
      rest = rest.subarray(head.length);
      if (head.statusCode === 101) throw new BadReplyError("it switches the protocol");
      // After 100 Continue or 103 Early Hints, the reply follows.
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

  /** The other end has closed its side of the connection. */
  #ended(): void {
    const { body } = this.#exchange ?? {};
    if (body?.endsWithConnection === true) this.#complete(this.#exchange!, body);
    // During the TLS handshake, Node reports the error here.
    this.destroy(this.#socket.errored ?? connectionClosed());
  }

  #closed(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined) {
      const failure = this.#failure ?? connectionClosed();
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

/** If the server says when it closes idle connections, the connection is used until a second before that. */
function reusableUntil(keepAlive: string | undefined): number {
  const seconds = /timeout=([0-9]{1,9})/i.exec(keepAlive ?? "")?.[1];
  return seconds === undefined ? Infinity : performance.now() + Number(seconds) * 1000 - 1000;
}

/**
 * How long connecting to one of a host's addresses may take before the next one is tried, in milliseconds.
 * Node's default is 250 ms, which is too short for distant hosts.
 */
export function addressTimeout(connectionTimeout: number): number {
  return connectionTimeout > 0
    ? Math.min(ADDRESS_TIMEOUT_MS, connectionTimeout / 2)
    : ADDRESS_TIMEOUT_MS;
}

function openSocket(
  { hostname, port, tls }: ConnectTarget,
  reads: SocketReads,
  autoSelectFamilyAttemptTimeout: number,
): Socket {
  // The types require a Buffer, but any Uint8Array works.
  const onread = reads as OnReadOpts;
  const options = { host: hostname, port, onread, autoSelectFamilyAttemptTimeout };
  return tls === undefined ? connectTcp(options) : connectTls({ ...options, ...tls });
}
