import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isVerified, scramProof } from './scram.ts'

// The example of RFC 7677, 3.
const password = 'pencil'
const clientFirstBare = 'n=user,r=rOprNGfwEbeRWgbNEkqO'
const serverNonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const serverFirst = `r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`

test('LEND-2: the proof of SCRAM-SHA-256 is that of the RFC, and so is what the server must show', async () => {
  const { text, verifier } = await scramProof(password, clientFirstBare, serverFirst)
  assert.equal(text, `c=biws,r=${serverNonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`)
  assert.ok(isVerified(`v=${verifier}`, verifier))
  assert.equal(verifier, '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  assert.ok(!isVerified('v=AAAA', verifier))
  assert.ok(!isVerified('e=other-error', verifier))
})

test('LEND-2: a server that makes guessing easy, or does not follow the exchange, gets no proof', async () => {
  const refusedWith = (answer: string) => assert.rejects(scramProof(password, clientFirstBare, answer))
  await refusedWith(serverFirst.replace('i=4096', 'i=1'))
  await refusedWith(serverFirst.replace('i=4096', 'i=999999999'))
  await refusedWith(serverFirst.replace('i=4096', 'i=4096.5'))
  await refusedWith(`r=somebodyElse,${serverFirst.split(',').slice(1).join(',')}`)
  await refusedWith(`r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`)
  await refusedWith(`m=extension,${serverFirst}`)
})
