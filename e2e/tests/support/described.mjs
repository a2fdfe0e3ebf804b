// The server's descriptions of itself as checks. They are taken at their word: a field that they do not name is wrong.
import assert from 'node:assert/strict';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** What a message spreads beside its fields is the sender's own. */
const OPEN = ['Message'];

/** Checks by /asyncapi.json and /openapi.json. */
export function described(asyncapi, openapi) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  for (const [name, schema] of Object.entries(openapi.components.schemas)) if (!OPEN.includes(name)) close(schema);
  Object.values(asyncapi.components.schemas).forEach(close);
  ajv.addSchema(openapi, 'http://server/openapi.json');
  ajv.addSchema(asyncapi, 'http://server/asyncapi.json');
  const check = (document, pointer, value, what) => {
    const validate = ajv.getSchema(`http://server/${document}.json#${pointer}`);
    assert.ok(validate, `${what} is not described`);
    if (validate(value)) return;
    const errors = validate.errors.map(({ instancePath, message, params }) => [instancePath, message, params]);
    assert.fail(`${what}: ${JSON.stringify(value)} ${JSON.stringify(errors)}`);
  };
  const messages = Object.entries(asyncapi.components.messages);
  for (const [, { payload }] of messages) close(payload);
  const ofEvent = (message, value) => check('asyncapi', `/components/messages/${message}/payload`, value, message);
  /** The message of this name that the server takes or sends. */
  const named = (action, name) =>
    Object.entries(asyncapi.operations).find(
      ([id, of]) => of.action === action && asyncapi.components.messages[id].name === name,
    )?.[0];
  const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, of]) => ({ ...of, path, method })),
  );
  const operation = (id) => operations.find(({ operationId }) => operationId === id);

  return {
    /** The names of all events. */
    names: new Set(Object.keys(asyncapi.operations).map((id) => asyncapi.components.messages[id].name)),
    assertCommand: (name, argument) => ofEvent(named('receive', name), argument),
    assertAck: (name, ack) => ofEvent(`${named('receive', name)}Ack`, ack),
    assertEvent: (name, argument) => ofEvent(named('send', name), argument),
    /** How to call an operation. */
    operation(id, parameters) {
      const { method, path } = operation(id);
      const url = path.replace(/{(\w+)}/g, (_, name) => encodeURIComponent(parameters[name]));
      return { method: method.toUpperCase(), url };
    },
    assertAnswer(id, { status, json, text }) {
      const { path, method, responses } = operation(id);
      assert.ok(responses[status] && status < 300, `${id}: ${status} ${text}`);
      if (!responses[status].content) return assert.equal(text, '');
      const pointer = ['paths', path, method, 'responses', status, 'content', 'application/json', 'schema'];
      check('openapi', `/${pointer.map(escaped).join('/')}`, json, id);
    },
  };
}

/** Has an object hold nothing but what is described; what `allOf` and `oneOf` add counts as well. */
function close(schema) {
  if (schema === null || typeof schema !== 'object') return;
  Object.values(schema).forEach(close);
  if (schema.type === 'object' && schema.properties && schema.additionalProperties === undefined) {
    schema.unevaluatedProperties = false;
  }
}

/** A part of a JSON pointer in the fragment of a URL (RFC 6901, section 6). */
function escaped(part) {
  return encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'));
}
