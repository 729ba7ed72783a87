import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { booleanField, listField, textField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { allIssuers, chainOf, familyOf, findIssuer, resolveIssuer } from './authority.ts'
import { urlsFrom } from './config-paths.ts'
import type { Mount } from './mount.ts'
import { assertName, setDefaultIssuer } from './new-issuer.ts'
import { certificatePem } from './output.ts'
import { printSerial } from './serial.ts'
import {
  type Issuer,
  type IssuerRecord,
  type IssuerUsage,
  issuerUsages,
  leafBehaviors,
  type PkiStore,
  type Urls,
} from './store.ts'

/** Issuers: shown, tuned, withdrawn. */
export function issuerPaths(mount: Mount): PathSpec[] {
  const { store } = mount
  return [
    {
      pattern: 'issuers',
      anybody: { operations: ['list'], answer: () => listIssuers(store) },
    },
    {
      pattern: 'issuer/{issuer}',
      read: async (call) => ({ data: await issuerView(store, await issuerOf(store, call)) }),
      update: (tx, call) => changeIssuer(mount, tx, call, whole),
      patch: (tx, call) => changeIssuer(mount, tx, call, (record) => record),
      delete: (tx, call) => deleteIssuer(store, tx, call),
      events: { update: 'key.changed', patch: 'key.changed', delete: 'key.deleted' },
    },
    {
      pattern: 'issuer/{issuer}/revoke',
      update: (tx, call) => revokeIssuer(mount, tx, call),
      events: { update: 'key.changed' },
    },
    {
      pattern: 'config/issuers',
      read: async () => ({ data: await store.config('issuers') }),
      update: (tx, { body }) =>
        setDefaultIssuer(
          store,
          tx,
          textField(body, 'default') ?? '',
          booleanField(body, 'default_follows_latest_issuer'),
        ),
    },
  ]
}

const issuerOf = (store: PkiStore, { params }: Call): Promise<Issuer> =>
  resolveIssuer(store, params['issuer'] ?? '')

async function listIssuers(store: PkiStore): Promise<Answer | undefined> {
  const issuers = await allIssuers(store)
  const { default: chosen } = await store.config('issuers')
  if (issuers.length === 0) return undefined
  const info = issuers.map(({ record, certificate }) => [
    record.id,
    {
      issuer_name: record.name,
      is_default: record.id === chosen,
      key_id: record.keyId,
      serial_number: printSerial(certificate.serial),
    },
  ])
  return { data: { keys: issuers.map(({ record }) => record.id), key_info: Object.fromEntries(info) } }
}

export async function issuerView(
  store: PkiStore,
  { record, certificate }: Issuer,
): Promise<Record<string, unknown>> {
  const chain = await chainOf(store, { record, certificate })
  const urls = record.urls
  return {
    issuer_id: record.id,
    issuer_name: record.name,
    key_id: record.keyId,
    certificate: certificatePem(certificate.der),
    manual_chain: record.manualChain.length > 0 ? record.manualChain : null,
    ca_chain: chain.map(({ der }) => certificatePem(der)),
    leaf_not_after_behavior: record.leafNotAfter,
    usage: [...record.usage].sort().join(','),
    revocation_signature_algorithm: algorithmName(record),
    revoked: record.revokedAt !== null,
    ...(record.revokedAt === null ? {} : revocationTimes(record.revokedAt)),
    issuing_certificates: urls?.issuing_certificates ?? [],
    crl_distribution_points: urls?.crl_distribution_points ?? [],
    delta_crl_distribution_points: urls?.delta_crl_distribution_points ?? [],
    ocsp_servers: urls?.ocsp_servers ?? [],
    ...(urls ? { enable_aia_url_templating: urls.enable_templating } : {}),
  }
}

export const revocationTimes = (at: number): Record<string, unknown> => ({
  revocation_time: Math.floor(at / 1000),
  revocation_time_rfc3339: new Date(at).toISOString(),
})

const signatureNames = /^SHA(256|384|512)WithRSA(PSS)?$/i

const algorithmName = ({ revocationBits, revocationPss }: IssuerRecord): string =>
  revocationBits === 0 ? '' : `SHA${revocationBits}WithRSA${revocationPss ? 'PSS' : ''}`

/** A write without PATCH says everything anew. */
const whole = (record: IssuerRecord): IssuerRecord => ({
  ...record,
  name: '',
  leafNotAfter: 'err',
  manualChain: [],
  urls: null,
  revocationBits: 0,
  revocationPss: false,
})

async function changeIssuer(
  mount: Mount,
  tx: Tx,
  { params, body, now }: Call,
  start: (record: IssuerRecord) => IssuerRecord,
): Promise<Answer> {
  const { store } = mount
  const issuer = await resolveIssuer(store, params['issuer'] ?? '', tx)
  const before = issuer.record
  const record: IssuerRecord = {
    ...start(before),
    ...(await nameFrom(store, tx, body, before)),
    ...(await chainFrom(store, tx, body, before.id)),
    ...behaviorFrom(body),
    ...usageFrom(issuer, body),
    ...revocationFrom(body),
    ...issuerUrls(body, start(before).urls),
  }
  await store.issuers.put(tx, record.id, record)
  if (record.revocationBits !== before.revocationBits || record.revocationPss !== before.revocationPss)
    await mount.lists.touch(tx, familyOf(issuer.certificate), now)
  const changed = await resolveIssuer(store, record.id, tx)
  return { data: await issuerView(store, changed), note: { issuer: record.id } }
}

async function nameFrom(
  store: PkiStore,
  tx: Tx,
  body: Body,
  before: IssuerRecord,
): Promise<Partial<IssuerRecord>> {
  const name = textField(body, 'issuer_name')?.trim()
  if (name === undefined) return {}
  assertName(name, 'issuer')
  const known = name === '' ? undefined : await findIssuer(store, name, tx)
  if (known && known.record.id !== before.id) throw invalid('issuer name already in use')
  return { name }
}

async function chainFrom(store: PkiStore, tx: Tx, body: Body, id: string): Promise<Partial<IssuerRecord>> {
  const written = listField(body, 'manual_chain')
  if (written === undefined) return {}
  const chain: string[] = []
  for (const [index, reference] of written.entries()) {
    const found = await resolveIssuer(store, index === 0 && reference === 'self' ? id : reference, tx)
    if (index === 0 && found.record.id !== id)
      throw invalid(
        `expected first cert in chain to be a self-reference, but was: ${reference}/${found.record.id}`,
      )
    chain.push(found.record.id)
  }
  return { manualChain: chain }
}

function behaviorFrom(body: Body): Partial<IssuerRecord> {
  const written = textField(body, 'leaf_not_after_behavior')
  if (written === undefined) return {}
  const leafNotAfter = leafBehaviors.find((behavior) => behavior === written)
  if (!leafNotAfter)
    throw invalid(
      'Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, and `permit`.',
    )
  return { leafNotAfter }
}

function usageFrom({ record, certificate }: Issuer, body: Body): Partial<IssuerRecord> {
  const written = listField(body, 'usage')
  if (written === undefined) return {}
  const usage: IssuerUsage[] = written.map((name) => {
    const usage = issuerUsages.find((known) => known === name)
    if (!usage)
      throw invalid(
        `Unable to parse specified usages: unknown name for usage: ${name}. Possible values are read-only, issuing-certificates, crl-signing and ocsp-signing.`,
      )
    return usage
  })
  if (record.revokedAt !== null && usage.includes('issuing-certificates'))
    throw invalid(
      'This issuer was revoked; unable to modify its usage to include certificate signing again. Reissue this certificate (preferably with a new key) and modify that entry instead.',
    )
  if (usage.includes('crl-signing') && certificate.usages?.includes('CRLSign') === false)
    throw invalid(
      "This issuer's underlying certificate lacks the CRLSign KeyUsage value; unable to set CRLSigningUsage on this issuer as a result.",
    )
  return { usage: [...new Set<IssuerUsage>([...usage, 'read-only'])] }
}

function revocationFrom(body: Body): Partial<IssuerRecord> {
  const written = textField(body, 'revocation_signature_algorithm')
  if (written === undefined) return {}
  const [, size = '0', pss] = signatureNames.exec(written) ?? []
  // Other keys than RSA have one algorithm each, which is used whatever stands here.
  if (size === '0' && written !== '' && !/^(?:ECDSAWithSHA(?:256|384|512)|(?:Pure)?Ed25519)$/i.test(written))
    throw invalid(`Unknown signature algorithm value: "${written}"`)
  return { revocationBits: Number(size), revocationPss: pss !== undefined }
}

function issuerUrls(body: Body, before: Urls | null): Partial<IssuerRecord> {
  const named = [
    'issuing_certificates',
    'crl_distribution_points',
    'ocsp_servers',
    'enable_aia_url_templating',
  ]
  if (!named.some((field) => field in body)) return {}
  const urls = urlsFrom({ ...body, enable_templating: body['enable_aia_url_templating'] }, before)
  const none = [urls.issuing_certificates, urls.crl_distribution_points, urls.ocsp_servers].every(
    (list) => list.length === 0,
  )
  return { urls: none ? null : urls }
}

/** One that is gone already is as deleted as it should be: Terraform's provider deletes both by id and with the whole mount. */
async function deleteIssuer(store: PkiStore, tx: Tx, { params }: Call): Promise<Answer> {
  const found = await findIssuer(store, params['issuer'] ?? '', tx)
  if (!found) return {}
  const { record } = found
  await store.issuers.remove(tx, record.id)
  const config = await store.config('issuers', tx)
  const wasDefault = config.default === record.id
  if (wasDefault) await store.setConfig(tx, 'issuers', { ...config, default: '' })
  return {
    warnings: wasDefault
      ? [
          `Deleted issuer ${record.id} was the default issuer: writing config/issuers chooses another; until then, requests that name none fail.`,
        ]
      : [],
    note: { issuer: record.id },
  }
}

/** Nothing is signed by it any more; who signed it lists it as revoked, if that is an issuer of this mount. */
async function revokeIssuer(mount: Mount, tx: Tx, { params, now }: Call): Promise<Answer> {
  const { store } = mount
  const issuer = await resolveIssuer(store, params['issuer'] ?? '', tx)
  const { certificate } = issuer
  if (issuer.record.revokedAt === null) {
    const usage = issuer.record.usage.filter((name) => name !== 'issuing-certificates')
    const revoked: IssuerRecord = { ...issuer.record, revokedAt: now.getTime(), usage }
    await store.issuers.put(tx, revoked.id, revoked)
    const [, above] = await chainOf(store, issuer)
    const parent =
      above && (await allIssuers(store, tx)).find((known) => known.certificate.der.equals(above.der))
    if (parent) {
      const family = familyOf(parent.certificate)
      await store.revoked.put(tx, certificate.serial.toString('hex'), {
        at: now.getTime(),
        notAfter: certificate.notAfter.getTime(),
        family,
        issuerId: parent.record.id,
      })
      await mount.lists.touch(tx, family, now)
    }
  }
  const changed = await resolveIssuer(store, issuer.record.id, tx)
  return { data: await issuerView(store, changed), note: { issuer: issuer.record.id } }
}
