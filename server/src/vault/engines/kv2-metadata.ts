import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import { assertCustomMetadata } from '../custom-metadata.ts'
import { formatDuration, parseDuration, unreadable } from '../duration.ts'
import type { Answer, Body, Call, PathSpec } from '../engine.ts'
import { booleanField, countField, isObject, textMapField } from '../fields.ts'
import { customOf, type Kv2Config, type Kv2Meta, newMeta, timeText } from './kv2-meta.ts'
import type { Kv2Store } from './kv2-store.ts'
import { mergePatch } from './merge-patch.ts'

const fields = [
  'max_versions',
  'cas_required',
  'metadata_cas_required',
  'delete_version_after',
  'custom_metadata',
]

export async function readMetadata(kv: Kv2Store, call: Call): Promise<Answer | undefined> {
  const name = call.params['name'] ?? ''
  const meta = name === '' || name.endsWith('/') ? undefined : await kv.meta(name)
  return meta && { data: metadataView(meta) }
}

/** The names in a folder with what `readMetadata` tells of each secret; folders have nothing to tell. */
export async function listDetails(kv: Kv2Store, folder: string): Promise<Answer | undefined> {
  const keys = await kv.list(folder)
  if (keys.length === 0) return undefined
  const info: Record<string, unknown> = {}
  for (const key of keys) {
    const meta = key.endsWith('/') ? undefined : await kv.meta(folder + key)
    info[key] = meta ? metadataView(meta) : {}
  }
  return { data: { keys, key_info: info }, note: { count: keys.length } }
}

function metadataView(meta: Kv2Meta): Record<string, unknown> {
  const versions = Object.entries(meta.versions).map(([number, version]) => [
    number,
    {
      created_time: timeText(version.createdAt),
      deletion_time: timeText(version.deletedAt),
      destroyed: version.destroyed ?? false,
    },
  ])
  return {
    cas_required: meta.casRequired,
    created_time: timeText(meta.createdAt),
    current_metadata_version: meta.metadataVersion ?? 0,
    current_version: meta.current,
    custom_metadata: customOf(meta),
    delete_version_after: afterText(meta.deleteAfterSeconds),
    max_versions: meta.maxVersions,
    metadata_cas_required: meta.metadataCasRequired ?? false,
    oldest_version: meta.oldest,
    updated_time: timeText(meta.updatedAt),
    versions: Object.fromEntries(versions),
  }
}

export async function writeMetadata(kv: Kv2Store, tx: Tx, call: Call, name: string): Promise<Answer> {
  const { body } = call
  if (!fields.some((field) => body[field] !== undefined)) return {}
  const config = await kv.config(tx)
  const known = await kv.meta(name, tx)
  assertMetadataCas(body, known, config)
  const custom = textMapField(body, 'custom_metadata')
  if (custom) assertCustomMetadata(custom)
  const now = call.now.getTime()
  const next = withSettings(known ?? newMeta(now), body)
  await kv.setMeta(tx, name, touched({ ...next, custom: custom ?? next.custom }, now))
  return warned(body, config)
}

/** JSON merge patch (RFC 7386): null takes a setting back to what a new secret has, or a key of the custom metadata away. */
export async function patchMetadata(
  kv: Kv2Store,
  tx: Tx,
  call: Call,
  name: string,
): Promise<Answer | undefined> {
  const { body } = call
  if (!fields.some((field) => field in body)) return {}
  const config = await kv.config(tx)
  const known = await kv.meta(name, tx)
  if (!known) return { status: 404 }
  assertMetadataCas(body, known, config)
  const custom = 'custom_metadata' in body ? patchedCustom(known, body['custom_metadata']) : known.custom
  const fresh = newMeta(0)
  const reset: Kv2Meta = {
    ...known,
    ...(body['max_versions'] === null ? { maxVersions: fresh.maxVersions } : {}),
    ...(body['cas_required'] === null ? { casRequired: fresh.casRequired } : {}),
    ...(body['metadata_cas_required'] === null ? { metadataCasRequired: false } : {}),
    ...(body['delete_version_after'] === null ? { deleteAfterSeconds: fresh.deleteAfterSeconds } : {}),
  }
  await kv.setMeta(tx, name, touched({ ...withSettings(reset, body), custom }, call.now.getTime()))
  return warned(body, config)
}

function patchedCustom(known: Kv2Meta, patch: unknown): Kv2Meta['custom'] {
  if (patch !== null && !isObject(patch)) throw unreadable('custom_metadata', 'it must be an object')
  const merged = mergePatch(known.custom, patch)
  if (merged === null) return null
  const custom = textMapField({ custom_metadata: merged }, 'custom_metadata') ?? {}
  assertCustomMetadata(custom)
  return custom
}

const withSettings = (meta: Kv2Meta, body: Body): Kv2Meta => ({
  ...meta,
  maxVersions: countField(body, 'max_versions') ?? meta.maxVersions,
  casRequired: booleanField(body, 'cas_required') ?? meta.casRequired,
  metadataCasRequired: booleanField(body, 'metadata_cas_required') ?? meta.metadataCasRequired ?? false,
  deleteAfterSeconds: afterField(body) ?? meta.deleteAfterSeconds,
})

const touched = (meta: Kv2Meta, now: number): Kv2Meta => ({
  ...meta,
  updatedAt: now,
  metadataVersion: (meta.metadataVersion ?? 0) + 1,
})

/** Who changes the metadata may have to name the version of it that they saw; 0 for none yet. */
function assertMetadataCas(body: Body, known: Kv2Meta | undefined, config: Kv2Config): void {
  const cas = countField(body, 'metadata_cas')
  if (cas === undefined) {
    if (known?.metadataCasRequired || config.metadataCasRequired)
      throw new AppError('secret.cas_mismatch', 'metadata check-and-set parameter required for this call')
    return
  }
  if (!known && cas !== 0)
    throw new AppError('secret.cas_mismatch', 'metadata_cas must be 0 when creating new metadata')
  if (known && cas !== (known.metadataVersion ?? 0))
    throw new AppError(
      'secret.cas_mismatch',
      'metadata check-and-set parameter does not match the current version',
    )
}

/** What the mount demands, a secret cannot do without. */
function warned(body: Body, config: Kv2Config): Answer {
  const ignored = (field: string, demanded: boolean | undefined): string[] =>
    demanded && booleanField(body, field) === false
      ? [`"${field}" set to false, but is mandated by backend config. This value will be ignored.`]
      : []
  const warnings = [
    ...ignored('cas_required', config.casRequired),
    ...ignored('metadata_cas_required', config.metadataCasRequired),
  ]
  return warnings.length > 0 ? { warnings } : {}
}

/** Asked like an unversioned mount; said in words, because the answer would otherwise look like a missing secret. */
export const wrongPath = async (_call: Call): Promise<Answer> => ({
  status: 404,
  warnings: [
    'Invalid path for a versioned K/V secrets engine. Use data/<name> or metadata/<name> below the mount, or a client that does.',
  ],
})

export function configPath(kv: Kv2Store): PathSpec {
  return {
    pattern: 'config',
    list: wrongPath,
    delete: (_, call) => wrongPath(call),
    async read() {
      const config = await kv.config()
      return {
        data: {
          cas_required: config.casRequired,
          delete_version_after: afterText(config.deleteAfterSeconds),
          max_versions: config.maxVersions,
          metadata_cas_required: config.metadataCasRequired ?? false,
        },
      }
    },
    async update(tx, { body }) {
      const config = await kv.config(tx)
      await kv.setConfig(tx, {
        casRequired: booleanField(body, 'cas_required') ?? config.casRequired,
        metadataCasRequired:
          booleanField(body, 'metadata_cas_required') ?? config.metadataCasRequired ?? false,
        deleteAfterSeconds: afterField(body) ?? config.deleteAfterSeconds,
        maxVersions: countField(body, 'max_versions') ?? config.maxVersions,
      })
      return {}
    },
  }
}

/** Negative: versions are not deleted by age, whatever else is said. */
function afterField(body: Body): number | undefined {
  const written = body['delete_version_after']
  return String(written).startsWith('-') ? -1 : parseDuration(written, 'delete_version_after')
}

const afterText = (seconds: number): string => (seconds < 0 ? '-1s' : formatDuration(seconds))
