import { randomBytes } from 'node:crypto'
import { AppError, type Clock, type Log, newUuid, reasonOf } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Mounts } from '../mounts.ts'
import type { VaultRequest, VaultResponse } from '../request-context.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { hashWith, requestEntry, responseEntry, type Seen } from './device-entry.ts'
import { type DeviceFile, openDeviceFile } from './device-file.ts'

export type Device = {
  /** Ends in `/`. */
  readonly path: string
  readonly type: 'file'
  readonly description: string
  readonly options: Readonly<Record<string, string>>
}

/**
 * Further logs of the vault's requests, in the form that programs for Vault's logs read. Our own log, which is a chain, which
 * nobody can turn off and without which nothing is answered, is not one of them; what cannot be written here is reported and
 * stops nothing.
 */
export type AuditDevices = {
  load(): Promise<void>
  /** Forgets them: the vault is sealed. */
  forget(): void
  all(): readonly Device[]
  /** Opens its file; what comes back stores it. */
  enable(device: Device): Promise<(tx: Tx) => Promise<void>>
  disable(tx: Tx, path: string): Promise<void>
  hash(path: string, input: string): string
  around(
    handle: (request: VaultRequest) => Promise<VaultResponse>,
  ): (request: VaultRequest) => Promise<VaultResponse>
}

type Needs = {
  barrier: Barrier
  tokens: Pick<Tokens, 'authenticate'>
  mounts: Pick<Mounts, 'of'>
  clock: Pick<Clock, 'now'>
  log: Log
  /** Where files may lie. */
  folders: readonly string[]
}

type Stored = Device & { readonly salt: string }
type Open = Stored & { readonly file: DeviceFile }

const storedAt = 'sys/audit-devices'
/** Shown, and always there. */
export const builtin = {
  path: 'keyward/',
  type: 'keyward',
  description: 'the chained audit log, which is always on',
  options: {},
}

export function createAuditDevices(needs: Needs): AuditDevices {
  const { barrier, clock, log } = needs
  let devices: readonly Open[] = []

  const stored = async (reader?: Reader): Promise<readonly Stored[]> => {
    const bytes = await barrier.get(storedAt, reader)
    return bytes ? (JSON.parse(bytes.toString('utf8')) as Stored[]) : []
  }
  const openFile = ({ options }: Device): Promise<DeviceFile> =>
    openDeviceFile(options['file_path'] ?? '', modeOf(options), needs.folders)

  async function reopen(device: Stored): Promise<Open[]> {
    try {
      return [{ ...device, file: await openFile(device) }]
    } catch (error) {
      log.error({ device: device.path, reason: reasonOf(error) }, 'an audit device cannot be opened')
      return []
    }
  }

  async function write(seen: Seen, response?: VaultResponse): Promise<void> {
    const at = clock.now()
    await Promise.all(
      devices.map(async ({ path, salt, options, file }) => {
        const hashing = { salt, hashesAccessors: options['hmac_accessor'] !== 'false' }
        const entry = response ? responseEntry(seen, response, at, hashing) : requestEntry(seen, at, hashing)
        try {
          await file.write(`${options['prefix'] ?? ''}${JSON.stringify(entry)}\n`)
        } catch (error) {
          log.error({ device: path, reason: reasonOf(error) }, 'an audit device cannot be written')
        }
      }),
    )
  }

  async function seenOf(request: VaultRequest): Promise<Seen> {
    const live = request.token && (await needs.tokens.authenticate(request.token))
    const mountType = needs.mounts.of(request.path)?.type
    return { id: newUuid(clock.now()), request, live, mountType }
  }

  return {
    async load() {
      devices = (await Promise.all((await stored()).map(reopen))).flat()
    },
    forget() {
      devices = []
    },
    all: () => devices.map(({ path, type, description, options }) => ({ path, type, description, options })),
    async enable(device) {
      const file = await openFile(device)
      return async (tx) => {
        const current = await stored(tx)
        const taken = [builtin, ...current].find(
          ({ path }) => path.startsWith(device.path) || device.path.startsWith(path),
        )
        if (taken) throw new AppError('request.invalid', 'path already in use')
        const added = { ...device, salt: randomBytes(32).toString('hex') }
        await barrier.put(tx, storedAt, JSON.stringify([...current, added]))
        tx.afterCommit(() => {
          devices = [...devices, { ...added, file }]
        })
      }
    },
    async disable(tx, path) {
      if (path === builtin.path)
        throw new AppError('request.invalid', 'the chained audit log cannot be turned off')
      const left = (await stored(tx)).filter((device) => device.path !== path)
      await barrier.put(tx, storedAt, JSON.stringify(left))
      tx.afterCommit(() => {
        devices = devices.filter((device) => device.path !== path)
      })
    },
    hash(path, input) {
      if (path === builtin.path)
        throw new AppError('request.invalid', 'the chained audit log holds no values, not even as hashes')
      const salt = devices.find((device) => device.path === path)?.salt
      if (!salt) throw new AppError('request.invalid', `unknown audit backend "${path}"`)
      return hashWith(salt, input)
    },
    around(handle) {
      async function logged(request: VaultRequest): Promise<VaultResponse> {
        const seen = await seenOf(request)
        await write(seen)
        const response = await handle(request)
        await write(seen, response)
        return response
      }
      return (request) => (devices.length === 0 ? handle(request) : logged(request))
    },
  }
}

/** As in chmod; `0000` leaves the mode of a file that exists. */
export function modeOf(options: Readonly<Record<string, string>>): number {
  const text = options['mode'] ?? '0600'
  if (!/^0?[0-7]{3,4}$/.test(text)) throw new AppError('request.invalid', `invalid mode "${text}"`)
  return Number.parseInt(text, 8) || 0o600
}
