import type { Tx } from '../../../store/index.ts'
import { parseDuration } from '../../duration.ts'
import type { Answer, Body, PathSpec } from '../../engine.ts'
import { booleanField, listField, textField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import type { Mount } from './mount.ts'
import type { CrlConfig, PkiStore, Urls } from './store.ts'

/** What holds for all issuers of the mount. */
export function configPaths(mount: Mount): PathSpec[] {
  const { store } = mount
  return [
    {
      pattern: 'config/urls',
      read: async () => ({ data: await store.config('urls') }),
      async update(tx, { body }) {
        const urls = urlsFrom(body, await store.config('urls', tx))
        await store.setConfig(tx, 'urls', urls)
        return { data: urls, note: { urls: Object.values(urls).flat().map(String) } }
      },
    },
    {
      pattern: 'config/cluster',
      read: async () => ({ data: await store.config('cluster') }),
      update: (tx, { body }) => setCluster(store, tx, body),
    },
    {
      pattern: 'config/crl',
      read: async () => ({ data: await store.config('crl') }),
      async update(tx, { body, now }) {
        const before = await store.config('crl', tx)
        const config = crlConfigFrom(body, before)
        await store.setConfig(tx, 'crl', config)
        if (config.disable !== before.disable || config.expiry !== before.expiry)
          await mount.lists.renew(tx, now)
        return { data: config, note: config }
      },
    },
    rotate(mount, 'crl/rotate'),
    acme,
  ]
}

const noAcme = {
  enabled: false,
  allowed_issuers: ['*'],
  allowed_roles: ['*'],
  allow_role_ext_key_usage: false,
  default_directory_policy: 'sign-verbatim',
  dns_resolver: '',
  eab_policy: 'not-required',
}

/** Tools that look a mount over ask for it. */
const acme: PathSpec = {
  pattern: 'config/acme',
  read: async () => ({ data: noAcme }),
  async update(_tx, { body }) {
    if (booleanField(body, 'enabled')) throw invalid('ACME is not spoken by this server: use issue/ or sign/')
    return { data: noAcme }
  },
}

/** Vault's clients read it, and their documentation shows it so; a read that stores something is a write here. */
function rotate({ lists }: Mount, pattern: string): PathSpec {
  return {
    pattern,
    read:
      async () =>
      async (tx, { now }) => {
        const renewed = await lists.renew(tx, now)
        return { data: { success: true }, note: { renewed } }
      },
    update: async (tx, { now }) => {
      const renewed = await lists.renew(tx, now)
      return { data: { success: true }, note: { renewed } }
    },
  }
}

const urlFields = [
  'issuing_certificates',
  'crl_distribution_points',
  'delta_crl_distribution_points',
  'ocsp_servers',
] as const

export function urlsFrom(body: Body, before: Urls | null): Urls {
  const templated = booleanField(body, 'enable_templating') ?? before?.enable_templating ?? false
  const read = (field: (typeof urlFields)[number]): readonly string[] => {
    const urls = listField(body, field)
    const bad = templated ? undefined : urls?.find((url) => !isPlainUrl(url))
    if (bad !== undefined)
      throw invalid(`invalid URL found in Authority Information Access (AIA) parameter ${field}: ${bad}`)
    return urls ?? before?.[field] ?? []
  }
  if ((listField(body, 'delta_crl_distribution_points') ?? []).length > 0)
    throw invalid('delta CRLs are not made by this server: leave delta_crl_distribution_points out')
  return {
    issuing_certificates: read('issuing_certificates'),
    crl_distribution_points: read('crl_distribution_points'),
    delta_crl_distribution_points: [],
    ocsp_servers: read('ocsp_servers'),
    enable_templating: templated,
  }
}

function isPlainUrl(url: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(url) && URL.canParse(url) && !url.includes('{{')
}

async function setCluster(store: PkiStore, tx: Tx, body: Body): Promise<Answer> {
  const before = await store.config('cluster', tx)
  const config = {
    path: textField(body, 'path') ?? before.path,
    aia_path: textField(body, 'aia_path') ?? before.aia_path,
  }
  for (const [field, url] of Object.entries(config))
    if (url !== '' && !isPlainUrl(url)) throw invalid(`invalid, non-URL ${field} given to cluster: ${url}`)
  await store.setConfig(tx, 'cluster', config)
  return { data: config, note: config }
}

const durations = ['expiry', 'ocsp_expiry', 'auto_rebuild_grace_period', 'delta_rebuild_interval'] as const
const longestSeconds = 10 * 365 * 86_400
const switches = [
  'disable',
  'ocsp_disable',
  'auto_rebuild',
  'enable_delta',
  'allow_expired_cert_revocation',
] as const

function crlConfigFrom(body: Body, before: CrlConfig): CrlConfig {
  const texts = durations.flatMap((field) => {
    const written = textField(body, field)
    if (written === undefined) return []
    const refuse = (why: string): ReturnType<typeof invalid> =>
      invalid(`given ${field} could not be decoded: ${why}`)
    const length = parseDuration(written, field, refuse) ?? 0
    if (length > longestSeconds) throw invalid(`${field} must be ten years at most`)
    return [[field, written]]
  })
  const flags = switches.flatMap((field) => {
    const written = booleanField(body, field)
    return written === undefined ? [] : [[field, written]]
  })
  const config: CrlConfig = { ...before, ...Object.fromEntries([...texts, ...flags]) }
  const expiry = parseDuration(config.expiry, 'expiry') ?? 0
  if (expiry < 60) throw invalid('expiry must be a minute at least: a list has to live until it is fetched')
  if (config.enable_delta)
    throw invalid('delta CRLs are not made by this server: the whole list is always new')
  if (config.auto_rebuild && (parseDuration(config.auto_rebuild_grace_period, 'grace') ?? 0) >= expiry)
    throw invalid(
      `CRL auto-rebuilding grace period (${config.auto_rebuild_grace_period}) must be strictly shorter than CRL expiry (${config.expiry}) value when auto-rebuilding of CRLs is enabled`,
    )
  return config
}
