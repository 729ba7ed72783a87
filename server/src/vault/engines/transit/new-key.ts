import { invalid } from './inputs.ts'
import type { KeyRecord, VersionRecord } from './key.ts'
import { canConverge, canDerive, traitsOf } from './key-types.ts'
import { assertHmacSize, newVersion } from './material.ts'

export type KeySettings = Pick<KeyRecord, 'name' | 'type'> &
  Partial<
    Pick<
      KeyRecord,
      | 'derived'
      | 'convergent'
      | 'exportable'
      | 'plaintextBackup'
      | 'autoRotateSeconds'
      | 'keyBytes'
      | 'allowRotation'
    >
  >

const shortestRotationSeconds = 3600

/** A key with its first version. */
export async function newKey(settings: KeySettings, now: Date): Promise<KeyRecord> {
  assertSettings(settings)
  const first = await newVersion(settings.type, settings.keyBytes ?? 0, now)
  return firstRecord(settings, first, false)
}

export function importedKey(settings: KeySettings, first: VersionRecord): KeyRecord {
  const keyBytes = traitsOf(settings.type).kind === 'hmac' ? Buffer.from(first.hmac, 'base64').length : 0
  assertSettings({ ...settings, keyBytes })
  return { ...firstRecord(settings, first, true), keyBytes }
}

function firstRecord(settings: KeySettings, first: VersionRecord, imported: boolean): KeyRecord {
  return {
    derived: false,
    convergent: false,
    exportable: false,
    plaintextBackup: false,
    autoRotateSeconds: 0,
    keyBytes: 0,
    allowRotation: false,
    ...settings,
    deletionAllowed: false,
    softDeleted: false,
    minDecryption: 1,
    minEncryption: 0,
    minAvailable: 0,
    latest: 1,
    imported,
    versions: { 1: first },
  }
}

function assertSettings(settings: KeySettings): void {
  const { type, derived, convergent, keyBytes = 0 } = settings
  const traits = traitsOf(type)
  if (convergent && !derived) throw invalid('convergent encryption requires derivation to be enabled')
  if ((derived && !canDerive(traits)) || (convergent && !canConverge(traits)))
    throw invalid(`key derivation and convergent encryption not supported for keys of type ${type}`)
  if (traits.kind === 'hmac') assertHmacSize(keyBytes)
  else if (keyBytes !== 0) throw invalid(`key_size is not valid for algorithm ${type}`)
  assertRotationPeriod(settings.autoRotateSeconds ?? 0)
}

export function assertRotationPeriod(seconds: number): void {
  if (seconds !== 0 && seconds < shortestRotationSeconds)
    throw invalid('auto rotate period must be 0 to disable or at least an hour')
}
