import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Entity, newAlias, newEntity, newGroup, type Subject } from '../identity/records.ts'
import { parsePolicy } from './policy-document.ts'
import { fillTemplate } from './templates.ts'

const alias = {
  ...newAlias({ name: 'mary@shop', mountAccessor: 'auth_jwt_1', customMetadata: { desk: '4' }, now: 0 }),
  metadata: { sub: '42' },
}
const entity: Entity = {
  ...newEntity({ now: 0, aliases: [alias] }),
  name: 'mary',
  metadata: { team: 'shop', star: 'a*', plus: '+', nothing: '', 'with.dot': 'dotted' },
}
const group = { ...newGroup('internal', 0), name: 'buyers', metadata: { floor: '2' } }
const subject: Subject = { entity, groups: [group], policies: [] }

for (const [template, filled] of [
  ['kv/{{identity.entity.id}}/x', `kv/${entity.id}/x`],
  ['kv/{{ identity.entity.name }}/*', 'kv/mary/*'],
  ['{{identity.entity.metadata.team}}-{{identity.entity.name}}', 'shop-mary'],
  ['kv/{{identity.entity.metadata.with.dot}}', 'kv/dotted'],
  ['kv/{{identity.entity.aliases.auth_jwt_1.name}}', 'kv/mary@shop'],
  ['kv/{{identity.entity.aliases.auth_jwt_1.id}}', `kv/${alias.id}`],
  ['kv/{{identity.entity.aliases.auth_jwt_1.metadata.sub}}', 'kv/42'],
  ['kv/{{identity.entity.aliases.auth_jwt_1.custom_metadata.desk}}', 'kv/4'],
  [`kv/{{identity.groups.ids.${group.id}.name}}`, 'kv/buyers'],
  ['kv/{{identity.groups.names.buyers.id}}', `kv/${group.id}`],
  ['kv/{{identity.groups.names.buyers.metadata.floor}}', 'kv/2'],
] as const)
  test(`VAULT-2: ${template} is filled`, () => assert.equal(fillTemplate(template, subject), filled))

for (const [why, template] of [
  ['metadata is missing', '{{identity.entity.metadata.floor}}'],
  ['metadata is empty', '{{identity.entity.metadata.nothing}}'],
  ['a name is one of the language', '{{identity.entity.metadata.constructor}}'],
  ['the alias is of another mount', '{{identity.entity.aliases.other.name}}'],
  ['the field of an alias is unknown', '{{identity.entity.aliases.auth_jwt_1.secret}}'],
  ['they are in no such group', '{{identity.groups.names.sellers.id}}'],
  ['a group is chosen by nothing', '{{identity.groups.buyers}}'],
  ['the field of a group is unknown', '{{identity.groups.names.buyers.policies}}'],
  ['the selector is unknown', '{{identity.token.id}}'],
  ['the value is a wildcard', 'kv/{{identity.entity.metadata.star}}'],
  ['the value would stand for any segment', 'kv/{{identity.entity.metadata.plus}}/x'],
] as const)
  test(`VAULT-2: a rule does not count when ${why}`, () =>
    assert.equal(fillTemplate(template, subject), undefined))

test('VAULT-2: a plus inside a segment is a plus, and a wildcard of the policy stays one', () => {
  const named = { ...subject, entity: { ...entity, name: 'mary+shop@example.com' } }
  assert.equal(fillTemplate('kv/+/{{identity.entity.name}}', named), 'kv/+/mary+shop@example.com')
})

test('VAULT-2: a token without an entity fills nothing', () =>
  assert.equal(fillTemplate('kv/{{identity.entity.name}}', undefined), undefined))

test('VAULT-2: templates are read in paths, and braces that do not pair are refused with their place', () => {
  const [rule] = parsePolicy('path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }')
  assert.deepEqual([rule?.template, rule?.glob], [true, true])
  for (const path of ['kv/{{a', 'kv/a}}', 'kv/{{a}}}}', 'kv/{{a{{b}}'])
    assert.throws(() => parsePolicy(`path "${path}" { capabilities = ["read"] }`), {
      code: 'policy.invalid',
      detail: /line 1, column 1: .*unbalanced templating/,
    })
})
