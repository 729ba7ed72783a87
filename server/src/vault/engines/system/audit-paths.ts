import { AppError } from '../../../core/index.ts'
import { type AuditDevices, builtin, type Device, modeOf } from '../../audit-devices/audit-devices.ts'
import type { Body, PathSpec } from '../../engine.ts'
import { booleanField, textField, textMapField } from '../../fields.ts'

/** `sys/audit`: logs beside our own, which is shown as the device `keyward/`. */
export function auditPaths(devices: AuditDevices): PathSpec[] {
  return [
    {
      pattern: 'audit',
      sudo: true,
      async read() {
        const views = [builtin, ...devices.all()].map((device) => [device.path, { ...device, local: false }])
        return { data: Object.fromEntries(views), flat: true }
      },
    },
    {
      pattern: 'audit/{path...}',
      sudo: true,
      target: ({ params }) => `audit-device:${params['path'] ?? ''}`,
      async post({ params, body }) {
        const device = deviceFrom(params['path'] ?? '', body)
        const store = await devices.enable(device)
        return async (tx) => {
          await store(tx)
          return { note: { file: device.options['file_path'] ?? '' } }
        }
      },
      async delete(tx, { params }) {
        await devices.disable(tx, folder(params['path'] ?? ''))
        return {}
      },
    },
    {
      pattern: 'audit-hash/{path...}',
      async post({ params, body }) {
        const input = textField(body, 'input')
        if (!input) throw new AppError('request.invalid', 'the "input" parameter is empty')
        return { data: { hash: devices.hash(folder(params['path'] ?? ''), input) }, flat: true }
      },
    },
  ]
}

const knownOptions: ReadonlySet<string> = new Set([
  'file_path',
  'path',
  'hmac_accessor',
  'log_raw',
  'mode',
  'prefix',
  'format',
])

function deviceFrom(written: string, body: Body): Device {
  const path = folder(written)
  if (path === '/') throw new AppError('request.invalid', 'audit device path must be specified')
  const type = textField(body, 'type') ?? ''
  if (type !== 'file')
    throw new AppError('request.invalid', `unknown backend type: "${type}": this server has "file"`)
  const given = textMapField(body, 'options') ?? {}
  const unknown = Object.keys(given).find((name) => !knownOptions.has(name))
  if (unknown) throw new AppError('request.invalid', `the option "${unknown}" is not supported`)
  // The older name of the option.
  const filePath = given['file_path'] ?? given['path']
  if (!filePath) throw new AppError('request.invalid', 'file_path is required')
  if (booleanField(given, 'log_raw'))
    throw new AppError('request.invalid', 'log_raw is not supported: no log holds a value in clear')
  if (given['format'] !== undefined && given['format'] !== 'json')
    throw new AppError('request.invalid', `unknown format type "${given['format']}"`)
  modeOf(given)
  return {
    path,
    type,
    description: textField(body, 'description') ?? '',
    options: { ...given, file_path: filePath },
  }
}

const folder = (path: string): string => `${path.replace(/^\/+|\/+$/g, '')}/`
