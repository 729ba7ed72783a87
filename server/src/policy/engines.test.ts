import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCedarEngine, parsePolicies } from './cedar.ts'
import { compile, readDefaults } from './default-policies.ts'
import { createDirectEngine } from './direct-engine.ts'
import type { CompiledSchema, Engine, EngineRequest, Entity, PolicyMap } from './engine.ts'
import { matches } from './expression.ts'
import { readShapes } from './shapes.ts'

const defaults = compile(readDefaults())
const { schema } = defaults
const shapes = readShapes(schema)

/** Numbers that look random and are the same in every run (mulberry32). */
function dice(seed: number) {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T
  return { chance: (p: number) => next() < p, pick }
}
type Dice = ReturnType<typeof dice>

const paths = ['secret/shop', 'secret/prod/db', 'secret/prod/', '', 'sécret/*', 'a*b']
const atoms = [
  'context has soloAccount && context.soloAccount',
  'context has secondsSinceSignIn && context.secondsSinceSignIn < 900',
  'context has secondsSinceSignIn && context.secondsSinceSignIn >= 60',
  'context has risk && ["high", "critical"].contains(context.risk)',
  'context has environment && context.environment != "production"',
  'principal is Person',
  'principal is Agent && principal.scopes.contains("leases")',
  'principal is Agent && principal.scopes.containsAll(["leases", "runs"])',
  'principal is Agent && principal.scopes.containsAny(["logs", "runs"])',
  'principal is Agent && principal.scopes.isEmpty()',
  'principal is Agent && principal.scopes == ["runs", "leases"]',
  'principal in Role::"owner"',
  'principal in [Role::"approver", Role::"auditor"]',
  'principal is Person in Role::"operator"',
  'principal has actor && principal.actor like "person:*"',
  'principal == Person::"p1"',
  'principal.name != "eve"',
  'resource is Secret && resource has path && resource.path like "secret/prod/*"',
  'resource is Secret && resource has path && resource.path like "*\\*b"',
  'resource is Secret && resource has path && resource.path like "s*r*t/*p*"',
  'resource is Run && resource has requestedBy && resource.requestedBy == principal.actor',
  'action in Action::"read"',
  'action in [Action::"value", Action::"change"]',
  'action == Action::"runs.start"',
  '{ a: 1, b: ["x"] } == { b: ["x", "x"], a: 1 }',
  'if principal is Agent then context has approved && context.approved else true',
]

function condition({ chance, pick }: Dice, depth: number): string {
  if (depth === 0 || chance(0.4)) return `(${pick(atoms)})`
  const [left, right] = [condition({ chance, pick }, depth - 1), condition({ chance, pick }, depth - 1)]
  return pick([
    `(${left} && ${right})`,
    `(${left} || ${right})`,
    `(!${left})`,
    `(if ${left} then ${right} else !${right})`,
  ])
}

const scopes = [
  'principal, action, resource',
  'principal is Agent, action, resource',
  'principal in Role::"owner", action in Action::"read", resource',
  'principal, action in [Action::"change", Action::"value"], resource is Secret',
  'principal == Agent::"a1", action, resource == Run::"r1"',
]

function generatedPolicies(roll: Dice): PolicyMap {
  const maps: PolicyMap[] = []
  while (maps.length < 4) {
    const effect = roll.chance(0.6) ? 'permit' : 'forbid'
    const when = `${roll.chance(0.8) ? 'when' : 'unless'} { ${condition(roll, 3)} }`
    const text = `@id("p${maps.length}") ${effect} (${roll.pick(scopes)}) ${when};`
    try {
      maps.push(parsePolicies({ name: 'generated', text }, schema as CompiledSchema))
    } catch {
      // The validator refuses what can never apply.
    }
  }
  return Object.assign({}, ...maps)
}

const some = <T>(roll: Dice, key: string, values: readonly T[]) =>
  roll.chance(0.6) ? { [key]: roll.pick(values) } : {}

function generatedRequest(roll: Dice): EngineRequest {
  const role = roll.pick(['owner', 'approver', 'operator', 'auditor'])
  const principal: Entity = roll.pick([
    person('p1', role),
    person('p2', role),
    {
      type: 'System',
      id: 'first-run',
      attributes: { actor: 'system:first-run', name: 'first-run' },
      parents: [],
    },
    agent(roll.pick([[], ['leases'], ['leases', 'runs'], ['logs']])),
  ])
  const [action, type, attributes] = roll.pick([
    ['runs.list', 'Run', some(roll, 'requestedBy', ['person:p1', 'agent:a1'])],
    ['runs.start', 'Run', some(roll, 'requestedBy', ['person:p2', 'system:first-run'])],
    ['secrets.list', 'Secret', some(roll, 'path', paths)],
    ['secrets.reveal', 'Secret', some(roll, 'path', paths)],
    ['vault.read', 'Secret', some(roll, 'path', paths)],
    ['approvals.approve', 'Approval', some(roll, 'requestedBy', ['person:p1', 'person:p2', 'agent:a1'])],
  ] as const)
  const context = {
    ...some(roll, 'soloAccount', [true, false]),
    ...some(roll, 'secondsSinceSignIn', [0, 59, 60, 899, 900]),
    ...some(roll, 'risk', ['low', 'high', 'critical']),
    ...some(roll, 'environment', ['production', 'test']),
    ...some(roll, 'approved', [true, false]),
    ...some(roll, 'unattended', [true, false]),
  }
  const resource = { type, id: roll.pick(['r1', '*']), attributes: { ...attributes }, parents: [] } as Entity
  return { principal, action, resource, context: context as EngineRequest['context'], now: new Date(0) }
}

/** The action whose context has a record and a set in it. */
function generatedLeaseRequest(roll: Dice): EngineRequest {
  const grant = {
    id: 'g1',
    agent: roll.pick(['agent:a1', 'agent:a2']),
    secretPath: roll.pick(paths.slice(0, 2)),
    by: 'person:p1',
    maxTtlSeconds: roll.pick([60, 300]),
  }
  const context = {
    purpose: 'test',
    ttlSeconds: roll.pick([59, 60, 61, 300]),
    destinations: ['api.example.com:443'],
    ...some(roll, 'grant', [grant]),
  }
  const resource = { type: 'Secret', id: 's', attributes: some(roll, 'path', paths.slice(0, 2)), parents: [] }
  return {
    principal: agent(roll.pick([['leases'], ['logs']])),
    action: 'leases.request',
    resource: resource as Entity,
    context: context as EngineRequest['context'],
    now: new Date(0),
  }
}

const person = (id: string, role: string): Entity => ({
  type: 'Person',
  id,
  attributes: { actor: `person:${id}`, name: id },
  parents: [{ type: 'Role', id: role }],
})
const agent = (scopes: string[]): Entity => ({
  type: 'Agent',
  id: 'a1',
  attributes: { actor: 'agent:a1', name: 'eve', scopes },
  parents: [],
})

function directOf(policies: PolicyMap): Engine {
  const engine = createDirectEngine(shapes, policies)
  assert.ok(engine, 'these policies need no library')
  return engine
}

test('POL-1: both engines decide alike on generated policies and requests', () => {
  const roll = dice(20260301)
  const seen = new Set<string>()
  for (let i = 0; i < 60; i++) {
    const policies = generatedPolicies(roll)
    const [direct, library] = [directOf(policies), createCedarEngine(schema, policies)]
    for (let j = 0; j < 25; j++) {
      const request = generatedRequest(roll)
      const verdict = direct.authorize(request)
      assert.deepEqual(verdict, library.authorize(request), JSON.stringify({ policies, request }))
      seen.add(`${verdict.allow} ${verdict.policies.length}`)
    }
  }
  assert.ok(seen.size >= 6, `the verdicts were all alike: ${[...seen].join(', ')}`)
})

test('POL-1: both engines decide alike on the default policies', () => {
  const roll = dice(7)
  const deciding = new Set<string>()
  const [direct, library] = [directOf(defaults.policies), createCedarEngine(schema, defaults.policies)]
  for (let i = 0; i < 600; i++) {
    const request = i % 3 === 0 ? generatedLeaseRequest(roll) : generatedRequest(roll)
    const verdict = direct.authorize(request)
    for (const id of verdict.policies) deciding.add(id)
    assert.deepEqual(verdict, library.authorize(request), JSON.stringify(request))
  }
  for (const id of [
    'agent-granted-lease',
    'no-self-approval',
    'only-people-approve',
    'unattended',
    'owner',
  ]) {
    assert.ok(deciding.has(id), `${id} never decided`)
  }
})

test('POL-1: a set that needs extension types or arithmetic is left to the library', () => {
  const beyond = [
    'context.now < datetime("2030-01-01")',
    'context == context',
    'context has secondsSinceSignIn && context.secondsSinceSignIn + 1 < 5',
    'ip("10.0.0.1").isInRange(ip("10.0.0.0/8"))',
  ]
  for (const when of beyond) {
    const text = `@id("x") permit (principal, action == Action::"runs.list", resource) when { ${when} };`
    assert.equal(createDirectEngine(shapes, parsePolicies({ name: 'x', text }, schema)), undefined, when)
  }
})

test('POL-1: a policy that fails while it is evaluated is reported, not skipped in silence', () => {
  const [id] = ['late']
  const text = `@id("${id}") forbid (principal, action == Action::"runs.list", resource) when { resource has flow && resource.flow == "x" };`
  const policies = parsePolicies({ name: 'x', text }, schema)
  const broken = JSON.parse(JSON.stringify(policies).replaceAll('"has"', '"."')) as PolicyMap
  const request = { ...generatedRequest(dice(1)), action: 'runs.list' }
  const verdict = directOf(broken).authorize({
    ...request,
    resource: { type: 'Run', id: 'r', attributes: {}, parents: [] },
  })
  assert.deepEqual(verdict, { allow: false, policies: [], failed: [id] })
})

test('a wildcard matches anything, and pieces never overlap', () => {
  assert.ok(matches('abc', ['abc']))
  assert.ok(matches('abc', ['', '']))
  assert.ok(matches('aXbYc', ['a', 'b', 'c']))
  assert.ok(!matches('ab', ['ab', 'b']))
  assert.ok(!matches('abc', ['b', '']))
  assert.ok(matches('a'.repeat(50_000), ['', 'a', 'a', '']))
})
