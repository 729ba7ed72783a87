import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, durationField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { allIssuers } from './authority.ts'
import type { Mount } from './mount.ts'
import type { Shelf } from './store.ts'
import { parseCertificate } from './x509/certificate.ts'

const flags = [
  'tidy_cert_store',
  'tidy_revoked_certs',
  'tidy_revoked_cert_issuer_associations',
  'tidy_expired_issuers',
] as const
const buffers = { safety_buffer: 72 * 3600, issuer_safety_buffer: 365 * 86_400 } as const

type Wish = Readonly<Record<(typeof flags)[number], boolean>> & Readonly<Record<keyof typeof buffers, number>>
type Done = { readonly certificates: number; readonly revoked: number; readonly issuers: number }

/** Removes what has expired. */
export function tidyPaths(mount: Mount): PathSpec[] {
  return [
    {
      pattern: 'tidy',
      post: (call) => tidyNow(mount, call),
    },
    {
      pattern: 'config/auto-tidy',
      read: async () => ({ data: { ...never, ...(await mount.store.config('autoTidy')) } }),
      update: (tx, call) => setAutoTidy(mount, tx, call),
    },
    {
      pattern: 'tidy-status',
      read: async () => ({ data: { ...inactive, ...(await mount.store.config('tidy')) } }),
    },
    {
      pattern: 'tidy-cancel',
      update: async () => ({ data: { ...inactive, ...(await mount.store.config('tidy')) } }),
    },
  ]
}

/** What a client may look for and this server has no use for. */
const never = {
  tidy_acme: false,
  tidy_invalid_certs: false,
  tidy_move_legacy_ca_bundle: false,
  maintain_stored_certificate_counts: false,
  publish_stored_certificate_count_metrics: false,
  pause_duration: '0s',
  page_size: 0,
}

/** A run is over before its caller is answered, so what is seen is always the last one, or none. */
const inactive = {
  state: 'Inactive',
  error: null,
  message: null,
  time_started: null,
  time_finished: null,
  safety_buffer: null,
  issuer_safety_buffer: null,
  tidy_cert_store: null,
  tidy_revoked_certs: null,
  tidy_revoked_cert_issuer_associations: null,
  tidy_expired_issuers: null,
  cert_store_deleted_count: null,
  revoked_cert_deleted_count: null,
  current_cert_store_count: null,
  current_revoked_cert_count: null,
  revoked_safety_buffer: null,
  tidy_invalid_certs: null,
  tidy_move_legacy_ca_bundle: null,
  tidy_acme: null,
  acme_account_safety_buffer: null,
  acme_account_deleted_count: null,
  acme_account_revoked_count: null,
  acme_orders_deleted_count: null,
  total_acme_account_count: null,
  missing_issuer_cert_count: null,
  pause_duration: null,
  page_size: null,
  last_auto_tidy_finished: null,
}

async function tidyNow(mount: Mount, { body, now }: Call): Promise<WriteHandler> {
  const wish = wishFrom(body)
  const done = await tidy(mount, wish, now, mount.write)
  return async (tx) => {
    await keepStatus(mount, tx, wish, done, now)
    return {
      status: 202,
      warnings: [
        'Tidy operation successfully started. Any information from the operation will be printed to the server logs.',
      ],
      note: done,
    }
  }
}

const keepStatus = ({ store }: Mount, tx: Tx, wish: Wish, done: Done, now: Date): Promise<void> =>
  store.setConfig(tx, 'tidy', {
    ...wish,
    state: 'Finished',
    time_started: now.toISOString(),
    time_finished: now.toISOString(),
    cert_store_deleted_count: done.certificates,
    revoked_cert_deleted_count: done.revoked,
  })

async function setAutoTidy({ store }: Mount, tx: Tx, { body }: Call): Promise<Answer> {
  const before = await store.config('autoTidy', tx)
  const config = {
    ...wishFrom(body, before),
    enabled: booleanField(body, 'enabled') ?? before.enabled,
    interval_duration: durationField(body, 'interval_duration') ?? before.interval_duration,
  }
  if (config.enabled && !flags.some((flag) => config[flag]))
    throw invalid(
      'Auto-tidy enabled but no tidy operations were requested. Enable at least one tidy operation to be run (tidy_cert_store / tidy_revoked_certs / tidy_expired_issuers).',
    )
  await store.setConfig(tx, 'autoTidy', config)
  return { data: { ...never, ...config }, note: config }
}

/** What was asked for once and for all, when its time has come. */
export async function tidyDue(mount: Mount, tx: Tx, now: Date): Promise<number> {
  const config = await mount.store.config('autoTidy', tx)
  if (!config.enabled) return 0
  const { time_started: last } = await mount.store.config('tidy', tx)
  const due = last === undefined ? 0 : Date.parse(String(last)) + config.interval_duration * 1000
  if (now.getTime() < due) return 0
  const done = await tidy(mount, config, now, (work) => work(tx))
  await keepStatus(mount, tx, config, done, now)
  return done.certificates + done.revoked + done.issuers
}

function wishFrom(body: Body, before?: Wish): Wish {
  const chosen = flags.map((flag) => [flag, booleanField(body, flag) ?? before?.[flag] ?? false])
  const lengths = Object.entries(buffers).map(([name, usual]) => {
    const seconds = durationField(body, name) ?? before?.[name as keyof typeof buffers] ?? usual
    if (seconds < 1) throw invalid(`${name} must be greater than zero`)
    return [name, seconds]
  })
  return Object.fromEntries([...chosen, ...lengths]) as Wish
}

/** How a batch is written: in a transaction of its own, or in the one that is there. */
type Run = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

async function tidy(mount: Mount, wish: Wish, now: Date, run: Run): Promise<Done> {
  const { store } = mount
  const before = now.getTime() - wish.safety_buffer * 1000
  const revoked = wish.tidy_revoked_certs
    ? await removeWhere(run, store.revoked, (record) => record.notAfter < before)
    : 0
  const certificates = wish.tidy_cert_store
    ? await removeWhere(run, store.certificates, (der) => parseCertificate(der).notAfter.getTime() < before)
    : 0
  const issuers = wish.tidy_expired_issuers ? await run((tx) => removeIssuers(mount, tx, wish, now)) : 0
  return { certificates, revoked, issuers }
}

/** So many in one transaction, so that others get their turn. */
const batchSize = 500

async function removeWhere<T>(run: Run, shelf: Shelf<T>, isOld: (value: T) => boolean): Promise<number> {
  const names = await shelf.names()
  let removed = 0
  for (let at = 0; at < names.length; at += batchSize) {
    const batch = names.slice(at, at + batchSize)
    removed += await run(async (tx) => {
      let count = 0
      for (const name of batch) {
        const value = await shelf.get(name, tx)
        if (value === undefined || !isOld(value)) continue
        await shelf.remove(tx, name)
        count++
      }
      return count
    })
  }
  return removed
}

/** The default issuer stays, expired or not, and so do all keys. */
async function removeIssuers({ store }: Mount, tx: Tx, wish: Wish, now: Date): Promise<number> {
  const before = now.getTime() - wish.issuer_safety_buffer * 1000
  const { default: chosen } = await store.config('issuers', tx)
  const old = (await allIssuers(store, tx)).filter(
    ({ record, certificate }) => record.id !== chosen && certificate.notAfter.getTime() < before,
  )
  for (const { record } of old) await store.issuers.remove(tx, record.id)
  return old.length
}
