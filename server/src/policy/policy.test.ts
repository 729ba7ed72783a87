import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { type Principal, type Role, systemPrincipal } from '../core/index.ts'
import { compile, compiledDefaults, readDefaults } from './default-policies.ts'
import { createPolicy, type DecisionRequest, type Facts, type Policy, type ResourceType } from './policy.ts'

const start = Date.parse('2026-03-01T12:00:00.000Z')
const setup = (now = start): Policy => createPolicy({ clock: { now: () => new Date(now) } })
const policy = setup()

const person = (role: Role, more: Partial<Principal> = {}): Principal => ({
  kind: 'person',
  id: role,
  name: role,
  roles: [role],
  ...more,
})
const agent = { kind: 'agent', id: 'a1', name: 'builder', roles: [], scopes: ['leases'] } as const
const ask = (
  principal: DecisionRequest['principal'],
  action: string,
  attributes: Facts = {},
  context: Facts = {},
) =>
  policy.decide({
    principal,
    action,
    resource: { type: policy.resourceTypeOf(action) as ResourceType, id: '*', attributes },
    context,
  })

const operations = Object.values(api)
  .flatMap((group) => Object.values(group))
  .filter((operation) => operation.access === 'policy')

test('POL-1: every operation that policy guards is an action of the schema', () => {
  assert.ok(operations.length > 25, 'the rule looked at nothing')
  const missing = operations.filter(({ name }) => policy.resourceTypeOf(name) === undefined)
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  )
})

test('POL-1: the compiled default policies are those of the readable files', () => {
  const source = readDefaults()
  const fresh = compile(source)
  assert.deepEqual(JSON.parse(JSON.stringify(fresh)), JSON.parse(JSON.stringify(compiledDefaults(source))))
})

test('POL-1: every default policy has an id and says in words what it does', () => {
  for (const [id, one] of Object.entries(compile(readDefaults()).policies)) {
    assert.match(id, /^[a-z][a-z-]+$/)
    assert.match(one.annotations?.['description'] ?? '', /^[A-Z].{20,}\.$/)
  }
})

test('POL-1: an edited default file counts, not its stale compiled form', () => {
  const source = readDefaults()
  const text =
    '@id("nobody") @description("Nobody may do anything at all here.") forbid (principal, action, resource);'
  const edited = { ...source, policies: [{ name: 'roles.cedar', text }] }
  assert.deepEqual(Object.keys(compiledDefaults(edited).policies), ['nobody'])
})

test('POL-1: the decision names the policies that made it', () => {
  assert.deepEqual(ask(person('auditor'), 'findings.list'), {
    allow: true,
    policies: ['reader'],
    reason:
      'findings.list on Finding * is allowed by reader (Every role may look at names, states and masked values.)',
  })
})

test('POL-1: what no policy allows is denied, and the reason says so', () => {
  assert.deepEqual(ask(person('auditor'), 'runs.start'), {
    allow: false,
    policies: [],
    reason: 'no policy allows person:auditor runs.start on Run *',
  })
})

test('POL-1: a person without a role may see and end their own session and look after their factors, nothing else', () => {
  const nobody = person('owner', { roles: [] })
  const allowed = operations.map(({ name }) => name).filter((name) => ask(nobody, name).allow)
  const others = allowed.filter((name) => !name.startsWith('second_factors.'))
  assert.deepEqual(others.sort(), ['session.end', 'session.read'])
})

test('IDENT-1: who may look may see what runs and what it prints; an operator may end it', () => {
  const mayEnd = (role: Role) => ask(person(role), 'sandboxes.end').allow
  assert.deepEqual([mayEnd('operator'), mayEnd('auditor'), mayEnd('approver')], [true, false, false])
  for (const role of ['auditor', 'approver', 'operator'] as const)
    for (const action of ['sandboxes.list', 'runs.output']) assert.ok(ask(person(role), action).allow)
})

test('IDENT-1: what each role may do', () => {
  const may = (role: Role): string[] =>
    operations
      .map(({ name }) => name)
      .filter(
        (name) =>
          ask(person(role), name, name.startsWith('approvals.') ? { requestedBy: 'person:x' } : {}).allow,
      )
      .filter(
        (name) =>
          !name.startsWith('second_factors.') &&
          !/\.(list|read|preview|head|status|end|search|history|compare|test|explain|reach|accounts|deliveries|requests|output|summary|trend|folders|rules|validate|times)$/.test(
            name,
          ),
      )
      .sort()
  assert.deepEqual(may('auditor'), [])
  assert.deepEqual(may('approver'), [
    'approval_grants.create',
    'approvals.answer_many',
    'approvals.approve',
    'approvals.change',
    'approvals.deny',
    'channels.link',
    'channels.unlink',
    'delegations.create',
  ])
  assert.deepEqual(may('operator'), [
    'agents.activate',
    'agents.quarantine',
    'agents.register',
    'asks.answer',
    'asks.deny',
    'certificates.issue',
    'certificates.revoke',
    'channels.check',
    'channels.retry',
    'connections.check',
    'findings.ignore',
    'findings.reopen',
    'findings.undo',
    'flows.remove',
    'flows.save',
    'goals.propose',
    'goals.start',
    'leases.grant',
    'leases.revoke',
    'passages.close',
    'passages.keep',
    'passages.open',
    'rollout.observe',
    'rollout.set_phase',
    'run_schedules.change',
    'run_schedules.create',
    'run_schedules.remove',
    'run_schedules.run',
    'runs.cancel',
    'runs.pause',
    'runs.plan',
    'runs.resolve',
    'runs.resume',
    'runs.retry',
    'runs.start',
    'scans.start',
    'schedules.change',
    'schedules.create',
    'schedules.remove',
    'schedules.run',
    'schedules.secret',
    'secrets.resolve',
    'triggers.change',
    'triggers.create',
    'triggers.remove',
  ])
  assert.ok(may('owner').includes('secrets.reveal'))
})

test('LEND-2: an agent never gets a value, never answers, never writes policy', () => {
  for (const action of [
    'secrets.reveal',
    'secrets.resolve',
    'approvals.approve',
    'approvals.deny',
    'policies.write',
  ]) {
    const decision = ask(agent, action)
    assert.equal(decision.allow, false, action)
    assert.notDeepEqual(decision.policies, [], `${action} is forbidden, not only unmentioned`)
  }
})

const grant = { id: 'g1', agent: 'agent:a1', secretPath: 'secret/shop', by: 'person:p', maxTtlSeconds: 300 }
const request = { purpose: 'pay', ttlSeconds: 300, destinations: ['api.example.com:443'] }

test('LEND-1: an agent may borrow what was granted to it, and only that', () => {
  const lend = (context: Facts, path = 'secret/shop', who: DecisionRequest['principal'] = agent) =>
    ask(who, 'leases.request', { path }, { ...request, ...context })
  assert.deepEqual(lend({ grant }).policies, ['agent-granted-lease'])
  assert.equal(lend({}).allow, false)
  assert.equal(lend({ grant, ttlSeconds: 301 }).allow, false)
  assert.equal(lend({ grant }, 'secret/other').allow, false)
  assert.equal(lend({ grant: { ...grant, agent: 'agent:a2' } }).allow, false)
  assert.equal(lend({ grant }, 'secret/shop', { ...agent, scopes: ['heartbeat'] }).allow, false)
})

test('APPR-2: nobody approves what they asked for themselves', () => {
  const approve = (by: Principal, requestedBy: string | undefined, context: Facts = {}) =>
    ask(by, 'approvals.approve', { requestedBy }, context)
  assert.equal(approve(person('approver'), 'person:operator').allow, true)
  assert.deepEqual(approve(person('approver'), 'person:approver').policies, ['no-self-approval'])
  assert.deepEqual(approve(person('owner'), 'person:owner').policies, ['no-self-approval'])
  assert.deepEqual(approve(person('owner'), undefined).policies, ['no-self-approval'])
})

test('APPR-2: the only account may approve its own run within 15 minutes of signing in', () => {
  const approve = (signedInAt: Date | undefined, soloAccount: boolean) =>
    ask(
      person('owner', signedInAt ? { signedInAt } : {}),
      'approvals.approve',
      { requestedBy: 'person:owner' },
      { soloAccount },
    ).allow
  assert.equal(approve(new Date(start - 899_000), true), true)
  assert.equal(approve(new Date(start - 900_000), true), false)
  assert.equal(approve(new Date(start - 1000), false), false)
  assert.equal(approve(undefined, true), false)
  assert.equal(approve(new Date(start + 60_000), true), false, 'a sign-in in the future is not fresh')
})

test('APPR-1: a token, an agent or Keyward itself never approves', () => {
  const token: Principal = { kind: 'token', id: 't', name: 'root', roles: ['owner'] }
  for (const who of [token, agent, systemPrincipal('first-run')]) {
    const decision = ask(who, 'approvals.approve', { requestedBy: 'person:x' })
    assert.ok(decision.policies.includes('only-people-approve'))
  }
})

test('APPR-1: Keyward answers only for a run that was started unattended', () => {
  const answer = (context: Facts) =>
    ask(systemPrincipal('unattended'), 'approvals.approve', { requestedBy: 'system:first-run' }, context)
  assert.deepEqual(answer({ unattended: true }).policies, ['unattended'])
  assert.deepEqual(answer({ unattended: false }).policies, ['only-people-approve'])
  assert.deepEqual(answer({}).policies, ['only-people-approve'])
  const token: Principal = { kind: 'token', id: 't', name: 'root', roles: ['owner'] }
  assert.equal(
    ask(token, 'approvals.approve', { requestedBy: 'person:x' }, { unattended: true }).allow,
    false,
  )
})

test('POL-1: a request that does not fit the schema is denied and says why', () => {
  const cases: [DecisionRequest, RegExp][] = [
    [
      { principal: agent, action: 'secrets.steal', resource: { type: 'Secret', id: 'x' } },
      /no action secrets.steal/,
    ],
    [
      { principal: agent, action: 'runs.list', resource: { type: 'Secret', id: 'x' } },
      /not decided on a Secret/,
    ],
    [
      { principal: person('owner'), action: 'lease.use', resource: { type: 'Lease', id: 'x' } },
      /not for a Person/,
    ],
    [
      {
        principal: person('owner'),
        action: 'runs.list',
        resource: { type: 'Run', id: '*', attributes: { flow: 1 } },
      },
      /Run.flow must be a string/,
    ],
    [
      {
        principal: person('owner'),
        action: 'runs.list',
        resource: { type: 'Run', id: '*' },
        context: { risque: 'low' },
      },
      /context has no field risque/,
    ],
    [
      { principal: agent, action: 'leases.request', resource: { type: 'Secret', id: '*' } },
      /context lacks destinations/,
    ],
    [
      {
        principal: person('owner'),
        action: 'runs.list',
        resource: { type: 'Run', id: '*' },
        context: { now: '2020-01-01' },
      },
      /context.now is set by the server/,
    ],
  ]
  for (const [bad, why] of cases) {
    const decision = policy.decide(bad)
    assert.equal(decision.allow, false)
    assert.match(decision.reason, why)
  }
})

test('VAULT-2: on the vault API Cedar allows, so that only a forbid counts', () => {
  const token: Principal = { kind: 'token', id: 't', name: 'app', roles: [] }
  const one = setup()
  const decide = () =>
    one.decide({
      principal: token,
      action: 'vault.read',
      resource: { type: 'Secret', id: 's', attributes: { path: 'secret/prod/db' } },
    })
  assert.equal(one.hasForbid('vault.read'), false)
  assert.equal(decide().allow, true)
  const text = `@id("freeze") @description("Nothing below secret/prod is read.")
    forbid (principal, action in Action::"vault", resource is Secret) when { resource has path && resource.path like "secret/prod/*" };`
  one.prepare([one.compile({ name: 'freeze.cedar', text })])()
  assert.equal(one.hasForbid('vault.read'), true)
  assert.deepEqual(decide().policies, ['freeze'])
  assert.deepEqual(one.files().policies.at(-1), { name: 'freeze.cedar', text, origin: 'custom' })
  one.prepare([])()
  assert.equal(decide().allow, true)
})

test('POL-1: hasForbid sees a policy that names no action', () => {
  const one = setup()
  assert.equal(one.hasForbid('secrets.reveal'), true)
  assert.equal(one.hasForbid('findings.list'), false)
  one.prepare([
    one.compile({ name: 'x', text: '@id("night") forbid (principal, action, resource is Finding);' }),
  ])()
  assert.equal(one.hasForbid('findings.list'), true)
})

test('POL-1: a condition on time is decided by the library', () => {
  const text = `@id("hours") @description("Scans start in the morning only.")
    forbid (principal, action == Action::"scans.start", resource) when { context.now.toTime() >= duration("12h") };`
  const at = (now: string) => {
    const one = setup(Date.parse(now))
    one.prepare([one.compile({ name: 'hours', text })])()
    return one.decide({
      principal: person('owner'),
      action: 'scans.start',
      resource: { type: 'Scan', id: '*' },
    })
  }
  assert.deepEqual(at('2026-03-01T12:00:00.000Z').policies, ['hours'])
  assert.deepEqual(at('2026-03-01T11:59:59.000Z').policies, ['owner'])
})

test('POL-2: a bad policy is refused with place and reason', () => {
  const bad: [string, RegExp][] = [
    ['permit (principal, action, resource)', /bad\.cedar:1:37: .*end of input/],
    [
      '// é\n@id("x")\npermit (principal, action == Action::"runs.lost", resource);',
      /bad\.cedar:3:30: .*unrecognized action/,
    ],
    [
      '@id("x")\npermit (principal, action, resource is Run) when { resource.colour == "red" };',
      /bad\.cedar:2:52: .*colour/,
    ],
    ['@id("x")\npermit (principal in Role::"boss", action, resource);', /bad\.cedar:2:22: .*Role::"boss"/],
    ['@id("x")\npermit (principal is Server, action, resource);', /bad\.cedar:.*impossible|unable to find/],
    ['@id("x") permit (principal == ?principal, action, resource);', /template/],
    ['@id("__proto__") permit (principal, action, resource);', /every policy needs an annotation @id/],
    ['permit (principal, action, resource);', /every policy needs an annotation @id/],
    [
      '@id("x") permit (principal, action, resource); @id("x") forbid (principal, action, resource);',
      /two policies have the id x/,
    ],
  ]
  for (const [text, place] of bad) {
    assert.throws(
      () => policy.compile({ name: 'bad.cedar', text }),
      (error: { code: string; detail: string }) => {
        assert.equal(error.code, 'policy.invalid')
        assert.match(error.detail, place)
        return true
      },
    )
  }
})

test('POL-2: a custom policy cannot take the place of a default one', () => {
  const one = setup()
  const custom = one.compile({
    name: 'x',
    text: '@id("agent-never-answers") permit (principal, action, resource);',
  })
  assert.throws(() => one.prepare([custom])(), { code: 'policy.invalid' })
  assert.equal(one.hasForbid('approvals.approve'), true)
})
