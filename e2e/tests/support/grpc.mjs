// Calls of chat-service's gRPC interface for which there is no REST yet.
import { connect } from 'node:http2';
import { once } from 'node:events';
import { within } from './people.mjs';

const LENGTH_DELIMITED = 2;

/** The app server changes who belongs to a match; fails unless chat-service has done it. */
export async function changeMembers(stack, match, { add = [], remove = [], replica = 0 }) {
  const fields = [[1, match.id], ...add.map((user) => [2, user]), ...remove.map((user) => [3, user])];
  const address = stack.member(`chat-service-${replica}`).grpc;
  const status = await call(address, '/mindful.chat.v1.ChatService/ChangeMembers', Buffer.concat(fields.map(text)));
  if (status !== '0') throw new Error(`ChangeMembers: gRPC status ${status}`);
}

/** A text field of a message. The length of a longer text would take more than one byte. */
function text([number, value]) {
  const bytes = Buffer.from(value);
  if (bytes.length > 127) throw new Error(`too long: ${value}`);
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, bytes.length]), bytes]);
}

/** A unary call; returns its status. */
async function call(address, path, message) {
  const session = connect(`http://${address}`);
  const failed = once(session, 'error').then(([error]) => Promise.reject(error));
  try {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request(headers);
    let status;
    const note = (headers) => (status = headers['grpc-status'] ?? status);
    stream.on('response', note);
    stream.on('trailers', note);
    stream.end(Buffer.concat([head, message]));
    stream.resume();
    await within(Promise.race([once(stream, 'close'), failed]), `answer to ${path}`);
    return status;
  } finally {
    session.close();
  }
}
