// Groups, and what the app server and their members do with them.
import { randomUUID } from 'node:crypto';
import { newMatch, rest, serviceToken, userToken } from './people.mjs';

/** Names of new users. */
export function users(...names) {
  return names.map((name) => `${name}-${randomUUID()}`);
}

/** A REST call of a user, or of the app server (`null`). */
export function call(stack, user, method, path, body) {
  return rest(stack, method, path, { token: user ? userToken(stack, user) : serviceToken(stack), body });
}

export function putGroup(stack, id, members, more = {}) {
  return call(stack, null, 'PUT', `/matches/${id}`, { kind: 'group', members, ...more });
}

/** A new group of an owner, admins and members. */
export async function newGroup(stack, { owner, admins = [], members = [], ...more }) {
  const id = `g-${randomUUID()}`;
  const of = (role) => (userId) => ({ userId, role });
  const all = [of('owner')(owner), ...admins.map(of('admin')), ...members.map(of('member'))];
  const { status, json } = await putGroup(stack, id, all, more);
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(json)}`);
  return { id, json, members: all.map(({ userId }) => userId) };
}

export function patch(stack, user, group, body) {
  return call(stack, user, 'PATCH', `/matches/${group.id}/members`, body);
}

export function leave(stack, user, group) {
  return call(stack, user, 'DELETE', `/matches/${group.id}/members/me`);
}

export const member = (userId, role = 'member', more = {}) => ({ userId, role, ...more });

/** Each of these users has an open pair with the first one. */
export async function acquaint(stack, one, others) {
  return Promise.all(others.map((other) => newMatch(stack, [one, other])));
}
