/** What is known of a secret besides its values. Times are milliseconds. */
export type Kv2Meta = {
  readonly createdAt: number
  readonly updatedAt: number
  /** 0: nothing was written yet. */
  readonly current: number
  readonly oldest: number
  readonly maxVersions: number
  readonly casRequired: boolean
  /** 0: as the mount says; negative: never by age. */
  readonly deleteAfterSeconds: number
  /** How often the metadata was written; absent in older entries. */
  readonly metadataVersion?: number
  readonly metadataCasRequired?: boolean
  readonly custom: Readonly<Record<string, string>> | null
  readonly versions: Readonly<Record<string, Kv2Version>>
}
export type Kv2Version = {
  readonly createdAt: number
  /** When it is deleted; may lie ahead. */
  readonly deletedAt?: number
  readonly destroyed?: boolean
}
export type Kv2Config = {
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly metadataCasRequired?: boolean
  /** 0: not said; negative: never by age, whatever a secret says. */
  readonly deleteAfterSeconds: number
}

export const defaultConfig: Kv2Config = { maxVersions: 0, casRequired: false, deleteAfterSeconds: 0 }
/** How many versions are kept where neither the mount nor the secret says so. */
const defaultMaxVersions = 10

export const newMeta = (now: number): Kv2Meta => ({
  createdAt: now,
  updatedAt: now,
  current: 0,
  oldest: 0,
  maxVersions: 0,
  casRequired: false,
  deleteAfterSeconds: 0,
  custom: null,
  versions: {},
})

export const timeText = (milliseconds: number | undefined): string =>
  milliseconds === undefined ? '' : new Date(milliseconds).toISOString()

/** Whether a version still gives its values. */
export const isReadable = (version: Kv2Version, now: number): boolean =>
  !version.destroyed && (version.deletedAt === undefined || version.deletedAt > now)

/** The metadata with one more version, and the versions that fall out of the number kept. */
export function withNewVersion(
  meta: Kv2Meta,
  config: Kv2Config,
  now: number,
): { meta: Kv2Meta; version: number; dropped: number[] } {
  const version = meta.current + 1
  const after = shorter(meta.deleteAfterSeconds, config.deleteAfterSeconds)
  const entry: Kv2Version = after > 0 ? { createdAt: now, deletedAt: now + after * 1000 } : { createdAt: now }
  const keep = meta.maxVersions || config.maxVersions || defaultMaxVersions
  const dropped: number[] = []
  const versions: Record<string, Kv2Version> = {}
  for (const [number, known] of Object.entries(meta.versions)) {
    if (Number(number) > version - keep) versions[number] = known
    else dropped.push(Number(number))
  }
  versions[version] = entry
  const oldest = dropped.length > 0 ? version - keep + 1 : meta.oldest
  return { meta: { ...meta, current: version, oldest, updatedAt: now, versions }, version, dropped }
}

const shorter = (a: number, b: number): number => {
  if (a < 0 || b < 0) return 0
  return a > 0 && b > 0 ? Math.min(a, b) : a || b
}

/** The metadata with some versions changed; versions that do not exist are passed over. */
export function changeVersions(
  meta: Kv2Meta,
  numbers: readonly number[],
  now: number,
  change: (version: Kv2Version) => Kv2Version,
): Kv2Meta {
  const versions = { ...meta.versions }
  for (const number of numbers) {
    const known = versions[number]
    if (known) versions[number] = change(known)
  }
  return { ...meta, versions, updatedAt: now }
}

/** Nothing written is null, whether it was ever written. */
export const customOf = ({ custom }: Kv2Meta): Kv2Meta['custom'] =>
  custom && Object.keys(custom).length > 0 ? custom : null

/** One version as Vault shows it beside its values. */
export const versionView = (meta: Kv2Meta, number: number): Record<string, unknown> => {
  const version = meta.versions[number]
  return {
    created_time: timeText(version?.createdAt),
    custom_metadata: customOf(meta),
    deletion_time: timeText(version?.deletedAt),
    destroyed: version?.destroyed ?? false,
    version: number,
  }
}
