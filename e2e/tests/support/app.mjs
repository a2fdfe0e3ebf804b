// The app around the samples of docs/clients.md: what they leave to it, a record of what they asked it to do, and ways
// to break their connection.

/** The names that the samples take from the app. */
export const YOURS = [
  'freshToken',
  'signIn',
  'showChat',
  'showTyping',
  'showPresence',
  'showTicks',
  'showUnread',
  'showMembers',
  'me',
  'showUnlocked',
  'showClosed',
  'showRinging',
  'stopRinging',
  'showCallEnded',
  'showProblem',
];

/** What `start` of the samples needs. `calls` holds what the samples called, `[name, ...args]` each. */
export function app(gateway, freshToken) {
  const calls = [];
  const record = (name) => [name, (...args) => void calls.push([name, ...args])];
  return { ...Object.fromEntries(YOURS.map(record)), calls, gateway, freshToken };
}

/** The arguments of all calls of this name. */
export function called({ yours }, name) {
  return yours.calls.filter(([other]) => other === name).map(([, ...args]) => args);
}

/** Breaks the connection as a dead network would; the client comes back by itself. */
export function breakConnection(socket) {
  socket.io.engine?.close();
}

/** Loses the next event of this name together with the connection. */
export function loseNext(socket, event) {
  const { packet } = socket;
  socket.packet = (content) => {
    if (content.data?.[0] !== event) return packet.call(socket, content);
    socket.packet = packet;
    return breakConnection(socket);
  };
}

/** As if the gateway had lost sight of it: the next connection is a new one. */
export function forgetPid(socket) {
  socket._pid = undefined;
  socket._lastOffset = undefined;
}
