import { readFile } from 'node:fs/promises'
import { AppError, reasonOf, Secret } from '../../core/index.ts'

/** Where Temporal is. Certificates and the API key are files, read anew for each connection. */
export type TemporalSettings = {
  /** `host:port` of its frontend. */
  readonly address: string
  readonly namespace: string
  readonly tls: boolean
  readonly caFile?: string | undefined
  readonly certificateFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly apiKeyFile?: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** From the environment; undefined without an address. Throws `request.invalid` for what makes no sense together. */
export function temporalSettings(env: Environment): TemporalSettings | undefined {
  const address = env['KEYWARD_TEMPORAL_ADDRESS']
  if (!address) return undefined
  const caFile = env['KEYWARD_TEMPORAL_TLS_CA']
  const certificateFile = env['KEYWARD_TEMPORAL_TLS_CERT']
  const keyFile = env['KEYWARD_TEMPORAL_TLS_KEY']
  const apiKeyFile = env['KEYWARD_TEMPORAL_API_KEY_FILE']
  if (!/^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(address))
    throw new AppError('request.invalid', 'KEYWARD_TEMPORAL_ADDRESS is not host:port')
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw new AppError(
      'request.invalid',
      'KEYWARD_TEMPORAL_TLS_CERT and KEYWARD_TEMPORAL_TLS_KEY belong together; one of them is missing',
    )
  const wanted = env['KEYWARD_TEMPORAL_TLS']
  if (wanted !== undefined && wanted !== 'true' && wanted !== 'false')
    throw new AppError('request.invalid', "KEYWARD_TEMPORAL_TLS is neither 'true' nor 'false'")
  const needed = [caFile, certificateFile, apiKeyFile].some((file) => file !== undefined)
  if (wanted === 'false' && needed)
    throw new AppError(
      'request.invalid',
      'KEYWARD_TEMPORAL_TLS is false, but a certificate or an API key needs TLS',
    )
  const namespace = env['KEYWARD_TEMPORAL_NAMESPACE'] || 'default'
  const tls = wanted === 'true' || needed
  return { address, namespace, tls, caFile, certificateFile, keyFile, apiKeyFile }
}

export type TemporalCredentials = {
  readonly ca?: Buffer
  readonly certificate?: { readonly crt: Buffer; readonly key: Secret }
  readonly apiKey?: Secret
}

export async function credentialsOf(settings: TemporalSettings): Promise<TemporalCredentials> {
  const { caFile, certificateFile, keyFile, apiKeyFile } = settings
  return {
    ...(caFile ? { ca: await fileOf(caFile) } : {}),
    ...(certificateFile && keyFile
      ? { certificate: { crt: await fileOf(certificateFile), key: await secretOf(keyFile) } }
      : {}),
    ...(apiKeyFile ? { apiKey: await secretOf(apiKeyFile) } : {}),
  }
}

async function fileOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new AppError('temporal.unavailable', `${path} cannot be read: ${reasonOf(error)}`)
  }
}

const secretOf = async (path: string): Promise<Secret> =>
  new Secret((await fileOf(path)).toString('utf8').trim())
