import { AppError, Secret } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import { unreadable } from '../duration.ts'
import type { Answer, Call, Engine, PathSpec, ReadHandler } from '../engine.ts'
import { countField, isObject, listField } from '../fields.ts'
import { changeVersions, type Kv2Meta, versionView } from './kv2-meta.ts'
import {
  configPath,
  listDetails,
  patchMetadata,
  readMetadata,
  writeMetadata,
  wrongPath,
} from './kv2-metadata.ts'
import type { Kv2Store } from './kv2-store.ts'
import { mergePatch } from './merge-patch.ts'

/** KV version 2 in Vault's dialect: `data/`, `metadata/`, `delete/`, `undelete/`, `destroy/`, `subkeys/`, `config`. */
export function createKv2(kv: Kv2Store, mountPath: string): Engine {
  const target = ({ params }: Call): string => `secret:${mountPath}${params['name'] ?? ''}`
  const exists: PathSpec['exists'] = async (call, reader) =>
    Boolean(call.params['name']) && (await kv.meta(nameOf(call), reader)) !== undefined
  return {
    type: 'kv',
    paths: [
      {
        pattern: 'data/{name...}',
        takes: ['data', 'options', 'version'],
        target,
        exists,
        events: {
          read: 'secret.read',
          update: 'secret.written',
          patch: 'secret.written',
          delete: 'secret.deleted',
        },
        read: (call) => readData(kv, call),
        update: (tx, call) => writeData(kv, tx, call),
        patch: (tx, call) => patchData(kv, tx, call),
        delete: async (tx, call) => markDeleted(kv, tx, call, undefined),
      },
      {
        pattern: 'metadata/{name...}',
        target,
        exists,
        events: { list: 'secret.listed', delete: 'secret.deleted' },
        list: async (call) => listed(await kv.list(folderName(call))),
        read: (call) => readMetadata(kv, call),
        update: (tx, call) => writeMetadata(kv, tx, call, nameOf(call)),
        patch: (tx, call) => patchMetadata(kv, tx, call, nameOf(call)),
        delete: async (tx, call) => {
          await kv.remove(tx, nameOf(call))
          return {}
        },
      },
      {
        pattern: 'delete/{name...}',
        target,
        events: { update: 'secret.deleted' },
        update: (tx, call) => markDeleted(kv, tx, call, versionsOf(call)),
      },
      {
        pattern: 'undelete/{name...}',
        target,
        events: { update: 'secret.written' },
        update: (tx, call) => undelete(kv, tx, call),
      },
      {
        pattern: 'destroy/{name...}',
        target,
        events: { update: 'secret.deleted' },
        async update(tx, call) {
          const versions = versionsOf(call, 'no version number provided')
          await kv.destroy(tx, nameOf(call), versions, call.now.getTime())
          return { note: { destroyed: versions } }
        },
      },
      {
        pattern: 'subkeys/{name...}',
        target,
        events: { read: 'secret.read' },
        read: (call) => readSubkeys(kv, call),
      },
      {
        pattern: 'detailed-metadata/{name...}',
        target,
        events: { list: 'secret.listed' },
        list: (call) => listDetails(kv, folderName(call)),
      },
      configPath(kv),
      {
        pattern: '{name...}',
        read: wrongPath,
        list: wrongPath,
        update: (_, call) => wrongPath(call),
        delete: (_, call) => wrongPath(call),
      },
    ],
    wipe: (tx) => kv.wipe(tx),
  }
}

export const listed = (keys: string[]): Answer | undefined =>
  keys.length === 0 ? undefined : { data: { keys }, note: { count: keys.length } }

function nameOf({ params, operation }: Call): string {
  const name = params['name'] ?? ''
  if (name === '' || (name.endsWith('/') && operation !== 'read'))
    throw new AppError('request.invalid', "cannot write to a path ending in '/'")
  return name
}

export function folderName({ params }: Call): string {
  const name = params['name'] ?? ''
  return name === '' || name.endsWith('/') ? name : `${name}/`
}

function versionOf(call: Call, meta: Kv2Meta): number {
  return countField(call.query, 'version') || meta.current
}

/** Most reads find everything in memory and wait for nothing. */
function readData(kv: Kv2Store, call: Call): ReturnType<ReadHandler> {
  const name = call.params['name'] ?? ''
  if (name === '' || name.endsWith('/')) return undefined
  const meta = kv.peek(name)
  return meta ? dataOfVersion(kv, call, name, meta) : readStoredData(kv, call, name)
}

async function readStoredData(kv: Kv2Store, call: Call, name: string): Promise<Answer | undefined> {
  const meta = await kv.meta(name)
  return meta && dataOfVersion(kv, call, name, meta)
}

function dataOfVersion(
  kv: Kv2Store,
  call: Call,
  name: string,
  meta: Kv2Meta,
): Answer | undefined | Promise<Answer> {
  const version = versionOf(call, meta)
  if (!meta.versions[version]) return undefined
  const text = kv.text(name, meta, version, call.now.getTime())
  return text instanceof Promise
    ? text.then((stored) => dataAnswer(kv, meta, version, stored))
    : dataAnswer(kv, meta, version, text)
}

function dataAnswer(kv: Kv2Store, meta: Kv2Meta, version: number, text: Buffer | undefined): Answer {
  const about = kv.viewOf(meta, version)
  return {
    dataText: new Secret(`{"data":${text ? text.toString('utf8') : 'null'},"metadata":${about}}`),
    status: text ? 200 : 404,
    note: { version },
  }
}

async function readSubkeys(kv: Kv2Store, call: Call): Promise<Answer | undefined> {
  const name = call.params['name'] ?? ''
  const meta = name === '' || name.endsWith('/') ? undefined : await kv.meta(name)
  if (!meta) return undefined
  const version = versionOf(call, meta)
  if (!meta.versions[version]) return undefined
  const text = await kv.text(name, meta, version, call.now.getTime())
  const subkeys = text
    ? keysOnly(JSON.parse(text.toString('utf8')), countField(call.query, 'depth') ?? 0)
    : null
  return {
    data: { metadata: versionView(meta, version), subkeys },
    status: text ? 200 : 404,
    note: { version },
  }
}

/** The keys of nested objects with every value replaced by null, also an empty object's; `depth` 0 is unlimited. */
function keysOnly(value: unknown, depth: number): unknown {
  if (!isObject(value)) return null
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      depth === 1 || (isObject(inner) && Object.keys(inner).length === 0) ? null : keysOnly(inner, depth - 1),
    ]),
  )
}

function casOf({ body }: Call): number | undefined {
  const options = body['options'] ?? undefined
  if (options === undefined) return undefined
  if (!isObject(options)) throw unreadable('options', 'it must be an object')
  if (!('cas' in options)) return undefined
  const cas = Number(options['cas'] ?? 0)
  if (!Number.isSafeInteger(cas))
    throw new AppError('request.invalid', 'error parsing check-and-set parameter')
  return cas
}

function dataOf({ body }: Call): Record<string, unknown> | null {
  if (!('data' in body)) throw new AppError('request.invalid', 'no data provided')
  const { data } = body as { data: unknown }
  if (data !== null && !isObject(data)) throw unreadable('data', 'it must be an object')
  return data
}

async function writeData(kv: Kv2Store, tx: Tx, call: Call): Promise<Answer> {
  const text = JSON.stringify(dataOf(call))
  const { meta, version } = await kv.write(tx, nameOf(call), text, call.now.getTime(), casOf(call))
  return { data: versionView(meta, version), note: { version } }
}

/** JSON merge patch (RFC 7386) on the newest version. */
async function patchData(kv: Kv2Store, tx: Tx, call: Call): Promise<Answer | undefined> {
  const name = nameOf(call)
  const now = call.now.getTime()
  const meta = await kv.meta(name, tx)
  if (!meta?.versions[meta.current]) return { status: 404 }
  const text = await kv.text(name, meta, meta.current, now, tx)
  if (!text) return { status: 404, data: versionView(meta, meta.current) }
  const merged = mergePatch(JSON.parse(text.toString('utf8')), dataOf(call))
  const written = await kv.write(tx, name, JSON.stringify(merged), now, casOf(call))
  return { data: versionView(written.meta, written.version), note: { version: written.version } }
}

function versionsOf(call: Call, missing = 'No version number provided'): number[] {
  const versions = listField(call.body, 'versions')?.map(Number) ?? []
  if (versions.length === 0) throw new AppError('request.invalid', missing)
  if (!versions.every((version) => Number.isSafeInteger(version)))
    throw unreadable('versions', 'they must be whole numbers')
  return versions
}

/** Hides versions (the newest when none is named) in a way that `undelete` takes back. */
async function markDeleted(kv: Kv2Store, tx: Tx, call: Call, asked: number[] | undefined): Promise<Answer> {
  const name = nameOf(call)
  const meta = await kv.meta(name, tx)
  if (!meta) return {}
  const now = call.now.getTime()
  const versions = asked ?? [meta.current]
  const deleted = changeVersions(meta, versions, now, (entry) =>
    entry.deletedAt !== undefined && entry.deletedAt <= now ? entry : { ...entry, deletedAt: now },
  )
  await kv.setMeta(tx, name, deleted)
  return { note: { deleted: versions } }
}

async function undelete(kv: Kv2Store, tx: Tx, call: Call): Promise<Answer> {
  const name = nameOf(call)
  const versions = versionsOf(call)
  const meta = await kv.meta(name, tx)
  if (!meta) return {}
  const back = changeVersions(meta, versions, call.now.getTime(), ({ deletedAt: _, ...entry }) => entry)
  await kv.setMeta(tx, name, back)
  return { note: { undeleted: versions } }
}
