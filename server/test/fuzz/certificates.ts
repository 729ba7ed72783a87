import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { fromBase32, toBase32 } from '../../src/core/index.ts'
import { pemBlocks } from '../../src/vault/engines/pem.ts'
import { hostnameOf } from '../../src/vault/engines/pki/allowed-names.ts'
import {
  altNamesIn,
  parseCertificate,
  signCertificate,
} from '../../src/vault/engines/pki/x509/certificate.ts'
import {
  isObjectId,
  objectId,
  readAll,
  readObjectId,
  readOne,
  readUnsigned,
  unsigned,
} from '../../src/vault/engines/pki/x509/der.ts'
import {
  addressBytes,
  addressText,
  basicConstraints,
  keyUsage,
  subjectAltName,
} from '../../src/vault/engines/pki/x509/extensions.ts'
import { schemeFor, spkiOf } from '../../src/vault/engines/pki/x509/keys.ts'
import { nameOf, printName, valuesIn } from '../../src/vault/engines/pki/x509/name.ts'
import { parseOcspQuestion } from '../../src/vault/engines/pki/x509/ocsp.ts'
import { oids } from '../../src/vault/engines/pki/x509/oids.ts'
import { makeSigningRequest, parseSigningRequest } from '../../src/vault/engines/pki/x509/signing-request.ts'
import { parsePrivateKey } from '../../src/vault/engines/ssh/private-key.ts'
import { parsePublicKey, printPublicKey, publicBlob } from '../../src/vault/engines/ssh/public-key.ts'
import { fitsGlob } from '../../src/vault/glob.ts'
import { type Fuzzed, mutated, refusesInWords } from './fuzzed.ts'

const refusal = ['request.invalid'] as const
const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const scheme = schemeFor(key, 0, false)
const name = nameOf({ commonName: 'a.test', organization: ['Example Ltd'], country: ['DE'] })
const names = {
  dns: ['a.test', '*.b.test'],
  email: ['ada@a.test'],
  ip: ['10.0.0.1', '2001:db8::1'],
  uri: ['spiffe://a/b'],
  other: [{ oid: '1.3.6.1.4.1.311.20.2.3', value: 'ada@a.test' }],
}
const extensions = [keyUsage(['CertSign']), basicConstraints(true, 1), subjectAltName(names, false)]
const request = await makeSigningRequest(name, extensions, key, scheme)
const certificate = await signCertificate(
  {
    serial: Buffer.from('4f0102030405', 'hex'),
    issuer: name,
    subject: name,
    notBefore: new Date(0),
    notAfter: new Date(4_000_000_000_000),
    spki: spkiOf(key),
    extensions,
  },
  key,
  scheme,
)
const question = Buffer.from(
  '3042304030 3e303c303a300906052b0e03021a05000414'.replaceAll(' ', '') +
    '00'.repeat(20) +
    '0414' +
    '11'.repeat(20) +
    '0205 4f01020304'.replaceAll(' ', ''),
  'hex',
)

/** Bytes that are nearly right. */
const damaged = (seed: Buffer): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.record({ at: fc.nat(seed.length - 1), byte: fc.nat(255), cut: fc.nat(3), more: fc.boolean() }),
      { maxLength: 4 },
    )
    .map((edits) =>
      edits.reduce((bytes, { at, byte, cut, more }) => {
        const place = at % Math.max(1, bytes.length)
        const put = more ? Buffer.from([byte, byte]) : Buffer.from([byte])
        return Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + cut)])
      }, seed),
    )
const anyBytes = (seed: Buffer): fc.Arbitrary<Buffer> =>
  fc.oneof(
    damaged(seed),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  )

export const certificateProperties: readonly Fuzzed[] = [
  {
    name: 'DER: what is read is what was there, byte for byte',
    property: fc.property(anyBytes(certificate), (bytes) =>
      refusesInWords(() => {
        const nodes = readAll(bytes)
        assert.ok(Buffer.concat(nodes.map(({ whole }) => whole)).equals(bytes))
      }, refusal),
    ),
  },
  {
    name: 'DER: numbers and object identifiers come back as they went',
    property: fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 8 }),
      (bytes, arcs) => {
        const digits = readUnsigned(readOne(unsigned(bytes)))
        assert.equal(BigInt(`0x${digits.toString('hex')}`), BigInt(`0x${Buffer.from(bytes).toString('hex')}`))
        const oid = ['1.2', ...arcs].join('.')
        assert.ok(isObjectId(oid))
        assert.equal(readObjectId(readOne(objectId(oid))), oid)
      },
    ),
  },
  {
    name: 'certificates: read in full, or refused',
    property: fc.property(anyBytes(certificate), (bytes) =>
      refusesInWords(() => {
        const parsed = parseCertificate(bytes)
        printName(parsed.subject)
        altNamesIn(parsed.extensions)
        // Node's own reader finds the same number, where it takes it for a certificate too.
        let other: X509Certificate | undefined
        try {
          other = new X509Certificate(bytes)
        } catch {
          return
        }
        assert.equal(BigInt(`0x${other.serialNumber}`), BigInt(`0x${parsed.serial.toString('hex')}`))
      }, refusal),
    ),
  },
  {
    name: 'signing requests: whatever is changed in one, its signature no longer holds',
    property: fc.property(damaged(request), (bytes) =>
      refusesInWords(() => {
        const parsed = parseSigningRequest(bytes)
        assert.deepEqual(valuesIn(parsed.subject, oids.commonName), ['a.test'])
        assert.deepEqual(altNamesIn(parsed.extensions), names)
      }, refusal),
    ),
  },
  {
    name: 'OCSP: questions are read or refused',
    property: fc.property(anyBytes(question), (bytes) =>
      refusesInWords(() => parseOcspQuestion(bytes), refusal),
    ),
  },
  {
    name: 'PEM: blocks of any text, in no time',
    property: fc.property(
      fc.oneof(fc.string(), mutated(['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])),
      (text) => {
        for (const { label } of pemBlocks(text.repeat(20))) assert.match(label, /^[A-Z0-9 ]+$/)
      },
    ),
  },
  {
    name: 'host names: nothing that would not be one passes',
    property: fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.domain(), mutated(['a.b.test', '*.münchen.test'])),
      (text) => {
        const found = hostnameOf(text)
        if (found !== undefined) assert.match(found, /^(?:\*\.)?[A-Za-z0-9.-]+$/)
      },
    ),
  },
  {
    name: 'addresses come back as they went',
    property: fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const bytes = addressBytes(address)
      const printed = addressText(bytes) ?? ''
      assert.ok(addressBytes(printed).equals(bytes))
    }),
  },
  {
    name: 'globs: a star is any text, the rest is itself',
    property: fc.property(
      fc.array(fc.string({ maxLength: 5 })),
      fc.string({ maxLength: 5 }),
      (parts, between) => {
        const plain = parts.map((part) => part.replaceAll('*', ''))
        assert.ok(fitsGlob(plain.join('*'), plain.join(between)))
        assert.equal(fitsGlob(plain.join(''), `${plain.join('')}x`), false)
      },
    ),
  },
  {
    name: 'SSH: keys are read or refused, and written as they were',
    property: fc.property(anyBytes(publicBlob(key)), (bytes) =>
      refusesInWords(() => {
        const parsed = parsePublicKey(printPublicKey(bytes))
        assert.ok(parsed.blob.equals(bytes))
      }, refusal),
    ),
  },
  {
    name: 'SSH: private keys that are none are refused without their words',
    property: fc.property(
      fc.oneof(
        fc.string(),
        anyBytes(
          Buffer.from('openssh-key-v1\0\0\0\0\u0004none\0\0\0\u0004none\0\0\0\0\0\0\0\u0001', 'latin1'),
        ).map(
          (bytes) =>
            `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`,
        ),
      ),
      (text) => refusesInWords(() => parsePrivateKey(text), refusal),
    ),
  },
  {
    name: 'base 32: there and back, or refused',
    property: fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.string(), (bytes, text) => {
      assert.ok(fromBase32(toBase32(bytes))?.equals(bytes))
      fromBase32(text)
    }),
  },
]
