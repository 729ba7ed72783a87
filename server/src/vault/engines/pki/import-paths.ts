import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { pemBlocks } from '../pem.ts'
import { invalid } from '../record-fields.ts'
import { familyOf } from './authority.ts'
import type { Mount } from './mount.ts'
import { addIssuer, addKey, adoptIssuer, newName } from './new-issuer.ts'
import { hasUrls, withoutUrls } from './root-paths.ts'
import type { IssuerRecord } from './store.ts'
import { parseCertificate } from './x509/certificate.ts'

/** Issuers and keys that come from elsewhere. */
export function importPaths(mount: Mount): PathSpec[] {
  const bundle = (pattern: string, keysAllowed: boolean): PathSpec => ({
    pattern,
    events: { update: 'key.created' },
    update: (tx, call) =>
      importBundle(mount, tx, call, textField(call.body, 'pem_bundle') ?? '', keysAllowed),
  })
  return [
    bundle('issuers/import/bundle', true),
    bundle('issuers/import/cert', false),
    bundle('config/ca', true),
    {
      pattern: 'keys/import',
      events: { update: 'key.created' },
      update: (tx, call) => importKey(mount, tx, call),
    },
  ]
}

const certificateLabels = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']
/** What tools write beside keys and certificates and is of no use here. */
const passedOver = ['CRL', 'X509 CRL', 'EC PARAMS', 'EC PARAMETERS']

export async function importBundle(
  mount: Mount,
  tx: Tx,
  { now }: Call,
  pem: string,
  keysAllowed: boolean,
): Promise<Answer> {
  const { store } = mount
  if (pem === '') throw invalid("'pem_bundle' and 'certificate' parameters were empty")
  assertLength(pem)
  const blocks = pemBlocks(pem).filter(({ label }) => !passedOver.includes(label))
  const certificates = blocks.filter(({ label }) => certificateLabels.includes(label))
  const keys = blocks.filter(({ label }) => !certificateLabels.includes(label))
  if (blocks.length === 0) throw invalid('error when parsing block 1: invalid PEM data')
  if (keys.length > 0 && !keysAllowed)
    throw invalid(
      'private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle',
    )
  const keyResults = []
  for (const { text } of keys) keyResults.push(await addKey(tx, store, text, ''))
  const issuerResults = []
  for (const { der } of certificates) {
    const certificate = parseCertificate(der)
    const result = await addIssuer(tx, store, certificate, '', now)
    if (!result.existed) await mount.lists.touch(tx, familyOf(certificate), now)
    issuerResults.push(result)
  }
  const warnings = await adoptImported(mount, tx, issuerResults)
  const ids = (results: readonly { record: { id: string }; existed: boolean }[], existed: boolean) =>
    results.flatMap((result) => (result.existed === existed ? [result.record.id] : []))
  const data = {
    imported_issuers: orNull(ids(issuerResults, false)),
    imported_keys: orNull(ids(keyResults, false)),
    existing_issuers: orNull(ids(issuerResults, true)),
    existing_keys: orNull(ids(keyResults, true)),
    mapping: Object.fromEntries(issuerResults.map(({ record }) => [record.id, record.keyId])),
  }
  return {
    data,
    warnings,
    note: { issuers: ids(issuerResults, false), keys: ids(keyResults, false) },
  }
}

/** A path where a file's content was meant is told apart by its length. */
function assertLength(pem: string): void {
  if (pem.length < 75)
    throw invalid(
      'provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file',
    )
}

const orNull = (ids: readonly string[]): readonly string[] | null => (ids.length > 0 ? ids : null)

async function adoptImported(
  { store }: Mount,
  tx: Tx,
  results: readonly { record: IssuerRecord; existed: boolean }[],
): Promise<string[]> {
  const fresh = results.filter(({ record, existed }) => !existed && record.keyId !== '')
  const [only, ...more] = fresh
  const warnings: string[] = []
  const config = await store.config('issuers', tx)
  if (only && (more.length === 0 || config.default === '')) await adoptIssuer(tx, store, only.record.id)
  if (!only && config.default === '' && results[0]) await adoptIssuer(tx, store, results[0].record.id)
  if (more.length > 0)
    warnings.push(
      'The imported bundle contained multiple certs matching keys, the default issuer that was selected should be verified and manually changed if incorrect.',
    )
  if (!(await hasUrls(store))) warnings.push(withoutUrls)
  return warnings
}

async function importKey({ store }: Mount, tx: Tx, { body }: Call): Promise<Answer> {
  const pem = textField(body, 'pem_bundle') ?? ''
  assertLength(pem)
  const [block, ...more] = pemBlocks(pem).filter(({ label }) => !passedOver.includes(label))
  if (!block || more.length > 0)
    throw invalid('only a single key can be present within the pem_bundle for importing')
  const name = await newName(store, body, 'key', tx)
  const { record } = await addKey(tx, store, block.text, name)
  return {
    data: { key_id: record.id, key_name: record.name, key_type: record.type },
    note: { key: record.id },
  }
}
