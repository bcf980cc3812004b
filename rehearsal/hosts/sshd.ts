/** A simulated host's SSH server on loopback: public keys only, and only root. */
import type { ChildProcess } from "node:child_process";
import { timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import ssh2, { type Connection, type ParsedKey, type ServerChannel } from "ssh2";

/** What happens to a connection before the server answers it. */
export type Reception = "answer" | "slow" | "refuse" | "silence";
/** What happens to a command: it runs, or its connection is cut while it runs or before a certain input reaches it. */
export type Treatment =
  | { readonly cut: "no" }
  | { readonly cut: "while-running" }
  | { readonly cut: "at-input"; readonly input: string; done(): void };

export interface SshdOptions {
  /** The port that it had before; another one when that is taken by now. */
  readonly port: number | undefined;
  /** OpenSSH private key. */
  readonly hostKey: string;
  /** In the form of authorized_keys; asked for each login. */
  authorizedKeys(): readonly string[];
  receive(): Reception;
  treat(command: string): Treatment;
  exec(command: string): ChildProcess;
  /** Called when a command has ended, or its connection. */
  finished(): void;
}

const SLOW_MILLIS = 3000;
/** How long a command runs before its connection is cut. */
const CUT_MILLIS = 50;

export class Sshd {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(listener: Server) {
    this.#listener = listener;
  }

  static async start(options: SshdOptions): Promise<Sshd> {
    const server = new ssh2.Server({ hostKeys: [options.hostKey], ident: "rehearsal" }, (connection) =>
      serve(connection, options),
    );
    const listener = createServer({ noDelay: true });
    const sshd = new Sshd(listener);
    listener.on("connection", (socket) => {
      sshd.#sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => sshd.#sockets.delete(socket));
      switch (options.receive()) {
        case "answer":
          return void server.injectSocket(socket);
        case "slow":
          return void setTimeout(() => server.injectSocket(socket), SLOW_MILLIS);
        case "refuse":
          return void socket.resetAndDestroy();
        case "silence":
          return void socket.resume();
      }
    });
    await listen(listener, options.port ?? 0).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") throw error;
      return listen(listener, 0);
    });
    return sshd;
  }

  get port(): number {
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Cuts every connection; the port refuses from now on. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

function listen(listener: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(port, "127.0.0.1", () => {
      listener.off("error", reject);
      resolve();
    });
  });
}

function serve(connection: Connection, options: SshdOptions): void {
  // The other side may go away at any time; its commands run on, as they would on a machine.
  connection.on("error", () => {});
  connection.on("authentication", (attempt) => {
    if (attempt.method !== "publickey" || attempt.username !== "root") return attempt.reject(["publickey"]);
    const key = options
      .authorizedKeys()
      .map(parse)
      .find((each) => each !== undefined && same(each.getPublicSSH(), attempt.key.data));
    if (key === undefined) return attempt.reject(["publickey"]);
    if (attempt.signature === undefined || attempt.blob === undefined) return attempt.accept();
    return key.verify(attempt.blob, attempt.signature, attempt.hashAlgo) === true
      ? attempt.accept()
      : attempt.reject(["publickey"]);
  });
  connection.on("session", (accept) => {
    const session = accept();
    session.on("env", (accepted) => accepted?.());
    session.on("pty", (accepted) => accepted?.());
    session.on("exec", (accepted, _, { command }) => run(connection, accepted(), command, options));
    session.on("shell", (_, reject) => reject?.());
  });
}

function run(connection: Connection, channel: ServerChannel, command: string, options: SshdOptions): void {
  const treatment = options.treat(command);
  const child = options.exec(command);
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error("a host's command has no pipes");
  stdin.on("error", () => {});
  channel.on("error", () => {});
  if (treatment.cut === "at-input") {
    channel.on("data", (chunk: Buffer) => {
      if (!chunk.includes(treatment.input)) return void stdin.write(chunk);
      treatment.done();
      connection.end();
    });
    channel.once("end", () => stdin.end());
    channel.once("close", () => stdin.end());
  } else {
    channel.pipe(stdin);
    channel.once("close", () => stdin.end());
  }
  if (treatment.cut === "while-running") {
    stdout.resume();
    stderr.resume();
    setTimeout(() => connection.end(), CUT_MILLIS);
    child.once("close", options.finished);
    return;
  }
  stdout.pipe(channel, { end: false });
  stderr.pipe(channel.stderr, { end: false });
  child.once("error", (error) => {
    channel.stderr.write(`${error.message}\n`);
    channel.exit(127);
    channel.end();
  });
  child.once("close", (code, signal) => {
    options.finished();
    if (signal === null) channel.exit(code ?? 0);
    else channel.exit(signal.replace(/^SIG/, ""), false, "");
    channel.end();
  });
}

function parse(line: string): ParsedKey | undefined {
  const key = ssh2.utils.parseKey(line.trim());
  return key instanceof Error ? undefined : key;
}

function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
