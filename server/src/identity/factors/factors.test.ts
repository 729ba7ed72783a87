import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { keepSealed } from '../../../test/support/sealed-bytes.ts'
import { createSecurityKey } from '../../../test/support/security-key.ts'
import { openWorld } from '../../../test/support/world.ts'
import { codeAt, fromBase32, Secret, silentLog, stepOf, systemPrincipal } from '../../core/index.ts'
import { createIdentity, identityMigrations } from '../index.ts'
import { readCbor } from './cbor.ts'

const origin = 'http://localhost:8200'

async function open(t: TestContext) {
  const world = await openWorld(t, identityMigrations)
  const { store, clock } = world
  const identity = createIdentity({ ...world, log: silentLog, sealed: keepSealed() })
  const signIn = async (personId: string): Promise<string> => {
    const code = await store.write((tx) => identity.createSignInCode(tx, personId))
    return (await identity.exchange(code.reveal(), 'bearer')).token.reveal()
  }
  const owner = await store.write((tx) => identity.bootstrapOwner(tx))
  const token = await signIn(owner.id)
  const who = () => identity.proven(token)
  const codeOf = (secret: Secret, steps = 0): Secret => {
    const key = {
      secret: fromBase32(secret.reveal()) ?? Buffer.alloc(0),
      algorithm: 'SHA1',
      digits: 6,
      periodSeconds: 30,
    } as const
    return new Secret(codeAt(key, stepOf(key, clock.now()) + steps))
  }
  const addTotp = async () => {
    const { factorId, secret, url } = await identity.factors.addTotp(await who(), 'phone')
    const added = await identity.factors.finishTotp(await who(), factorId, codeOf(secret))
    return { factorId, secret, url, recoveryCodes: added.recoveryCodes ?? [] }
  }
  const isFresh = async () => (await identity.authenticate(token)) as { secondFactorAt?: Date }
  return { ...world, identity, owner, token, who, signIn, codeOf, addTotp, isFresh }
}

const wrong = { code: 'factor.wrong' }

test('IDENT-1: an app is added with a code of its own, and its owner is then known to have shown it', async (t) => {
  const { identity, owner, who, addTotp, isFresh, clock } = await open(t)
  assert.equal((await isFresh()).secondFactorAt, undefined)
  const { url, secret, recoveryCodes } = await addTotp()
  assert.equal(new URL(url.reveal()).searchParams.get('secret'), secret.reveal())
  assert.equal(recoveryCodes.length, 10)
  assert.deepEqual((await isFresh()).secondFactorAt, clock.now())
  const { items, recoveryCodesLeft } = await identity.factors.list(owner.id)
  assert.deepEqual(
    [items.map(({ kind, name }) => [kind, name]), recoveryCodesLeft],
    [[['totp', 'phone']], 10],
  )
  const second = await identity.factors.addTotp(await who(), 'tablet')
  await assert.rejects(identity.factors.finishTotp(await who(), second.factorId, new Secret('000000')), wrong)
})

test('IDENT-1: a code is good once, in its own step or the one beside it, also when many come at once', async (t) => {
  const { identity, who, addTotp, codeOf, clock } = await open(t)
  const { secret } = await addTotp()
  const confirm = async (code: Secret) => identity.factors.confirm(await who(), { code })
  await assert.rejects(confirm(codeOf(secret)), wrong)
  clock.advance(60_000)
  const code = codeOf(secret)
  const answers = await Promise.allSettled([confirm(code), confirm(code), confirm(code)])
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
  await assert.rejects(confirm(codeOf(secret, -1)), wrong)
  assert.equal((await confirm(codeOf(secret, 1))).kind, 'totp')
  clock.advance(120_000)
  await assert.rejects(confirm(codeOf(secret, 2)), wrong)
  await assert.rejects(confirm(codeOf(secret, -2)), wrong)
})

test('IDENT-1: after five wrong ones none is looked at for a quarter of an hour, however many come at once', async (t) => {
  const { identity, who, addTotp, codeOf, clock, audit } = await open(t)
  const { secret } = await addTotp()
  clock.advance(60_000)
  const bad = codeOf(secret, 40)
  const proven = await who()
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, () => identity.factors.confirm(proven, { code: bad })),
  )
  const codes = tries.map((one) => (one.status === 'rejected' ? one.reason.code : 'good'))
  assert.deepEqual(
    [codes.filter((code) => code === 'factor.wrong').length, codes.filter((code) => code === 'good').length],
    [5, 0],
  )
  await assert.rejects(identity.factors.confirm(proven, { code: codeOf(secret) }), { code: 'factor.limited' })
  assert.equal((await audit.page({ limit: 50, order: 'asc', type: 'factor.refused' })).items.length, 5)
  clock.advance(15 * 60_000)
  assert.equal((await identity.factors.confirm(await who(), { code: codeOf(secret) })).kind, 'totp')
  const counted = identity.factors.attempts().filter(({ kind }) => kind === 'totp')
  assert.deepEqual(
    counted.map(({ outcome, count }) => [outcome, count]),
    [
      ['confirmed', 2],
      ['refused', 5],
      ['limited', 16],
    ],
  )
})

test('IDENT-1: a recovery code works once, lets its owner change factors, and is no second factor', async (t) => {
  const { identity, owner, who, addTotp, isFresh, clock } = await open(t)
  const { factorId, recoveryCodes } = await addTotp()
  const before = (await isFresh()).secondFactorAt
  clock.advance(10 * 60_000)
  const remove = async () => identity.factors.remove(await who(), factorId)
  await assert.rejects(remove(), { code: 'factor.needed' })
  const [recoveryCode] = recoveryCodes
  assert.equal((await identity.factors.confirm(await who(), { recoveryCode })).kind, 'recovery')
  await assert.rejects(identity.factors.confirm(await who(), { recoveryCode }), wrong)
  assert.deepEqual((await isFresh()).secondFactorAt, before)
  const renewed = await identity.factors.recoveryCodes(await who())
  await assert.rejects(identity.factors.confirm(await who(), { recoveryCode: recoveryCodes[1] }), wrong)
  assert.equal((await identity.factors.confirm(await who(), { recoveryCode: renewed[0] })).kind, 'recovery')
  await remove()
  assert.deepEqual((await identity.factors.list(owner.id)).items, [])
})

test('IDENT-1: the first factor needs a fresh sign-in; a second one needs the first', async (t) => {
  const { identity, who, clock, addTotp } = await open(t)
  clock.advance(16 * 60_000)
  await assert.rejects(identity.factors.addTotp(await who(), 'phone'), { code: 'factor.needed' })
  clock.advance(-10 * 60_000)
  await addTotp()
  clock.advance(6 * 60_000)
  await assert.rejects(identity.factors.addTotp(await who(), 'tablet'), { code: 'factor.needed' })
  await assert.rejects(identity.factors.recoveryCodes(await who()), { code: 'factor.needed' })
})

test('IDENT-1: a factor counts for its session alone, and for its person alone', async (t) => {
  const { identity, store, owner, who, signIn, addTotp, codeOf, clock } = await open(t)
  const { secret, factorId, recoveryCodes } = await addTotp()
  const other = await signIn(owner.id)
  assert.equal((await identity.proven(other)).secondFactorAt, undefined)
  const by = systemPrincipal('test')
  const mary = await store.write((tx) => identity.createPerson(tx, { name: 'mary', roles: ['approver'], by }))
  const hers = await identity.proven(await signIn(mary.id))
  clock.advance(60_000)
  const none = { code: 'factor.not_found' }
  await assert.rejects(identity.factors.confirm(hers, { code: codeOf(secret) }), none)
  await assert.rejects(identity.factors.remove(hers, factorId), none)
  const own = await identity.factors.addTotp(hers, 'hers')
  await identity.factors.finishTotp(hers, own.factorId, codeOf(own.secret))
  await assert.rejects(identity.factors.confirm(hers, { code: codeOf(secret) }), wrong)
  await assert.rejects(identity.factors.confirm(hers, { recoveryCode: recoveryCodes[0] }), wrong)
  await assert.rejects(identity.factors.confirm(await who(), {}), wrong)
  await assert.rejects(identity.proven('kws_none'), { code: 'factor.needed' })
})

test('IDENT-1: what a key answers is no answer of an app', async (t) => {
  const { identity, who, addTotp } = await open(t)
  const { factorId } = await addTotp()
  const given = createSecurityKey(origin).create('a question')
  await assert.rejects(identity.factors.finishKey(await who(), factorId, given), wrong)
})

async function withKey(t: TestContext) {
  const opened = await open(t)
  const { identity, who } = opened
  const key = createSecurityKey(origin)
  const { factorId, challenge, rpId, algorithms } = await identity.factors.addKey(
    await who(),
    'stick',
    origin,
  )
  assert.deepEqual([rpId, algorithms[0]], ['localhost', -7])
  await identity.factors.finishKey(await who(), factorId, key.create(challenge))
  const asked = async (): Promise<string> =>
    (await identity.factors.challenge(opened.owner.id, origin)).challenge
  const confirm = async (given: ReturnType<typeof key.get>) =>
    identity.factors.confirm(await who(), { key: given })
  return { ...opened, key, factorId, asked, confirm }
}

test('IDENT-1: a security key signs what it was asked, once', async (t) => {
  const { identity, owner, key, asked, confirm, clock, isFresh } = await withKey(t)
  clock.advance(10 * 60_000)
  const challenge = await asked()
  const given = key.get(challenge)
  assert.equal((await confirm(given)).kind, 'key')
  assert.deepEqual((await isFresh()).secondFactorAt, clock.now())
  await assert.rejects(confirm(given), wrong)
  const late = await asked()
  clock.advance(5 * 60_000)
  await assert.rejects(confirm(key.get(late)), wrong)
  assert.notEqual((await identity.factors.list(owner.id)).items[0]?.lastUsedAt, null)
})

test('IDENT-1: another page, another key, a copy, nobody there, or a changed answer does not count', async (t) => {
  const { identity, owner, key, asked, confirm, clock } = await withKey(t)
  assert.equal((await confirm(key.get(await asked()))).kind, 'key')
  const cases = [
    key.get(await asked(), { origin: 'http://evil.localhost:8200' }),
    { ...createSecurityKey(origin).get(await asked()), credential: key.credential },
    key.get(await asked(), { flags: 0 }),
    key.get('AAAA'),
  ]
  for (const given of cases) {
    await assert.rejects(confirm(given), wrong)
    clock.advance(16 * 60_000)
  }
  key.setCounter(0)
  await assert.rejects(confirm(key.get(await asked())), wrong)
  key.setCounter(9)
  const good = key.get(await asked())
  const tail = good.signature.endsWith('A') ? 'B' : 'A'
  await assert.rejects(confirm({ ...good, signature: `${good.signature.slice(0, -2)}${tail}A` }), wrong)
  await assert.rejects(identity.factors.challenge(owner.id, 'http://localhost:9999'), {
    code: 'factor.not_found',
  })
})

test('IDENT-1: a key is added with the answer to its own question, on its own page, by somebody who is there', async (t) => {
  const { identity, who } = await open(t)
  const begin = async () => identity.factors.addKey(await who(), 'stick', origin)
  const finish = async (factorId: string, given: { clientData: string; attestation: string }) =>
    identity.factors.finishKey(await who(), factorId, given)
  const key = createSecurityKey(origin)
  const first = await begin()
  await assert.rejects(finish(first.factorId, key.create('AAAA')), wrong)
  await assert.rejects(finish(first.factorId, key.create(first.challenge, { origin: 'http://x:1' })), wrong)
  await assert.rejects(finish(first.factorId, key.create(first.challenge, { flags: 0x40 })), wrong)
  const broken = { ...key.create(first.challenge), attestation: 'o2Nm' }
  await assert.rejects(finish(first.factorId, broken), wrong)
  const second = await begin()
  await assert.rejects(finish(second.factorId, key.create(first.challenge)), wrong)
  assert.equal((await finish(first.factorId, key.create(first.challenge))).factor.name, 'stick')
  await assert.rejects(finish(first.factorId, key.create(first.challenge)), wrong)
})

test('IDENT-1: what no authenticator writes is refused before it is followed', () => {
  for (const hex of [
    '',
    '5f',
    '1b0000000000000001',
    'f97c00',
    'c001',
    '4403',
    'a2010201',
    'a201020103',
    '81'.repeat(20),
  ])
    assert.throws(() => readCbor(Buffer.from(hex, 'hex')), RangeError, hex)
  assert.deepEqual(
    readCbor(Buffer.from('a201182003f5', 'hex')).value,
    new Map<number, number | boolean>([
      [1, 32],
      [3, true],
    ]),
  )
})
