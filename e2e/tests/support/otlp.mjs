// Receives traces by OTLP over gRPC: HTTP/2 without TLS, and the few protobuf fields that a trace is made of.
// Field numbers: opentelemetry-proto, trace.proto, resource.proto and common.proto of version 1.
import { createServer } from 'node:http2';

const TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** A receiver on a free port. `spans` grows: {service, process, traceId, spanId, parentId, name, attributes}. */
export async function receiveTraces() {
  const spans = [];
  const sessions = new Set();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('end', () => {
      // One connection is one process.
      if (headers[':path'] === TRACES) spans.push(...exported(message(chunks), stream.session.socket.remotePort));
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      // An empty message: not compressed, no bytes.
      stream.end(Buffer.alloc(5));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${server.address().port}`,
    spans,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

/** The message of a unary call, behind its flag and length. */
function message(chunks) {
  const body = Buffer.concat(chunks);
  if (body[0] !== 0) throw new Error('compressed');
  return body.subarray(5, 5 + body.readUInt32BE(1));
}

function exported(request, process) {
  return submessages(request, 1).flatMap((resourceSpans) => {
    const resource = submessages(resourceSpans, 1)[0];
    const service = attributes(submessages(resource, 1))['service.name'];
    const spans = submessages(resourceSpans, 2).flatMap((scopeSpans) => submessages(scopeSpans, 2));
    return spans.map((span) => {
      const hex = (field) => (submessages(span, field)[0] ?? Buffer.alloc(0)).toString('hex');
      return {
        service,
        process,
        traceId: hex(1),
        spanId: hex(2),
        parentId: hex(4),
        name: submessages(span, 5)[0].toString(),
        attributes: attributes(submessages(span, 9)),
      };
    });
  });
}

/** Of KeyValue messages those whose value is a string. */
function attributes(pairs) {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key, value] = [submessages(pair, 1)[0], submessages(pair, 2)[0]];
      return [key.toString(), value && submessages(value, 1)[0]?.toString()];
    }),
  );
}

/** The length-delimited values of one field: bytes, strings and messages. */
function submessages(buffer, wanted) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = buffer[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const tag = varint();
    const [field, type] = [Math.floor(tag / 8), tag % 8];
    if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else {
      const length = varint();
      if (field === wanted) found.push(buffer.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}
